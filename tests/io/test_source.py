import errno
import gzip
import os
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError, MachineError, machine_fault
from inversesr.io import source as module
from inversesr.io.nifti import read_mask, read_scan
from inversesr.volume import Grid

AFFINE = np.diag([1.0, 1.0, 4.0, 1.0])


def save(path, seed=0):
    data = np.random.default_rng(seed).integers(0, 500, (24, 22, 9)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(data, AFFINE), path)
    return data


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mgz"])
def test_a_flipped_bit_in_a_compressed_file_never_gives_another_image(tmp_path, name):
    data = np.random.default_rng(0).integers(0, 500, (24, 22, 9)).astype(np.int16)
    cls = nibabel.MGHImage if name == "a.mgz" else nibabel.Nifti1Image
    nibabel.save(cls(data, AFFINE), tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(1)
    n_refused = 0
    for position in rng.integers(0, len(whole), 60):
        changed = bytearray(whole)
        changed[position] ^= 1 << int(rng.integers(8))
        (tmp_path / name).write_bytes(changed)
        try:
            np.testing.assert_array_equal(read_scan(tmp_path / name).volume.data, data)
        except InputError:
            n_refused += 1
    assert n_refused > 50


@pytest.mark.parametrize("n_lost", [1, 4, 8])
def test_a_compressed_file_without_its_end_is_damaged(tmp_path, n_lost):
    save(tmp_path / "a.nii.gz")
    whole = (tmp_path / "a.nii.gz").read_bytes()
    (tmp_path / "a.nii.gz").write_bytes(whole[:-n_lost])
    with pytest.raises(InputError, match=r"is damaged .*copy it again"):
        read_scan(tmp_path / "a.nii.gz")


def test_a_damaged_mask_is_refused_too(tmp_path):
    save(tmp_path / "a.nii.gz")
    whole = bytearray((tmp_path / "a.nii.gz").read_bytes())
    whole[-6] ^= 1
    (tmp_path / "a.nii.gz").write_bytes(whole)
    with pytest.raises(InputError, match="is damaged"):
        read_mask(tmp_path / "a.nii.gz", Grid((24, 22, 9), AFFINE))


def test_a_file_in_several_compressed_parts_is_read(tmp_path):
    data = save(tmp_path / "a.nii")
    raw = (tmp_path / "a.nii").read_bytes()
    parts = gzip.compress(raw[:3000]) + gzip.compress(raw[3000:])
    (tmp_path / "b.nii.gz").write_bytes(parts)
    np.testing.assert_array_equal(read_scan(tmp_path / "b.nii.gz").volume.data, data)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("code", ["EIO", "ESTALE", "EACCES", "EMFILE", "ETIMEDOUT"])
def test_a_failing_machine_is_not_a_damaged_file(tmp_path, monkeypatch, name, code):
    save(tmp_path / name)
    number = getattr(errno, code)

    def fail(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module.nibabel, "load", fail)
    with pytest.raises(MachineError, match=os.strerror(number)):
        read_scan(tmp_path / name)


def test_a_disk_that_fails_within_the_voxels_is_not_a_damaged_file(tmp_path, monkeypatch):
    save(tmp_path / "a.nii.gz")

    def fail(*_args):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(
        module,
        "_read_to_end",
        lambda path, _stream: module.refuse(
            path.name, OSError(errno.EIO, "Input/output error"), "is damaged"
        ),
    )
    with pytest.raises(MachineError, match="Input/output error"):
        read_scan(tmp_path / "a.nii.gz")


def test_too_little_memory_is_not_a_damaged_file(tmp_path, monkeypatch):
    save(tmp_path / "a.nii.gz")

    def fail(*_args, **_kwargs):
        raise MemoryError

    monkeypatch.setattr(module.nibabel, "load", fail)
    with pytest.raises(MemoryError):
        read_scan(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "out of memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory"),
        (ImportError("libtorch.so: failed to map segment from shared object"), "out of memory"),
        (RuntimeError("can't start new thread"), "--threads"),
        (OSError(errno.EIO, "Input/output error", "/disk/a"), "Input/output error: /disk/a"),
        (gzip.BadGzipFile("CRC check failed"), ""),
        (OSError(errno.EINVAL, "Invalid argument"), ""),
        (RuntimeError("size of tensor"), ""),
        (ImportError("no module named x"), ""),
    ],
    ids=str,
)
def test_the_faults_of_a_machine_are_told_from_those_of_files_and_programs(error, words):
    found = machine_fault(error)
    assert words in found
    assert bool(words) == bool(found)


@pytest.mark.parametrize("kilobytes", [300_000, 1_200_000])
def test_a_limit_of_memory_is_told_as_such(tmp_path, kilobytes):
    save(tmp_path / "a.nii.gz")
    command = f'exec "{sys.executable}" -m inversesr run a.nii.gz --solver spline'
    ended = subprocess.run(
        ["bash", "-c", f"ulimit -v {kilobytes}; {command}"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.startswith("inversesr: out of memory")
    assert len(ended.stderr.splitlines()) == 1
