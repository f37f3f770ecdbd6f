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
from inversesr.io.nifti import read_scan
from tests.support import processors

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


PAIRS = (
    nibabel.Nifti1Pair, nibabel.Nifti2Pair, nibabel.Spm99AnalyzeImage, nibabel.AnalyzeImage,
)  # fmt: skip


@pytest.mark.parametrize("cls", PAIRS)
@pytest.mark.parametrize("ending", [".hdr", ".img", ".hdr.gz", ".img.gz"])
def test_pairs_of_header_and_voxels_are_read_by_either_name(tmp_path, cls, ending):
    data = np.random.default_rng(0).integers(0, 900, (12, 14, 5)).astype(np.int16)
    saved = "a.img.gz" if ending.endswith("gz") else "a.img"
    nibabel.save(cls(data, np.diag([1.0, 1.0, 5.0, 1.0])), tmp_path / saved)
    scan = read_scan(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(scan.volume.data, data)
    assert scan.volume.grid.spacing_mm == pytest.approx((1.0, 1.0, 5.0))
    # SPM's affine lies in a file of its own, Analyze has none
    is_guessed = any("left and right" in warning for warning in scan.warnings)
    assert is_guessed == (cls is nibabel.AnalyzeImage)
    assert scan.name == "a"


def test_a_pair_of_spm_without_its_affine_has_no_place(tmp_path):
    data = np.arange(840, dtype=np.int16).reshape(12, 14, 5)
    nibabel.save(nibabel.Spm99AnalyzeImage(data, AFFINE), tmp_path / "a.img")
    (tmp_path / "a.mat").unlink()
    assert any("left and right" in told for told in read_scan(tmp_path / "a.hdr").warnings)


@pytest.mark.parametrize("lost", ["a.img", "a.hdr"])
def test_half_a_pair_says_what_is_missing(tmp_path, lost):
    nibabel.save(nibabel.Nifti1Pair(np.ones((12, 14, 5), np.int16), AFFINE), tmp_path / "a.img")
    (tmp_path / lost).unlink()
    (left,) = tmp_path.iterdir()
    with pytest.raises(InputError, match=rf"needs .*{lost}, which does not exist"):
        read_scan(left)


@pytest.mark.parametrize("part", ["a.img.gz", "a.hdr.gz"])
def test_damage_to_either_half_of_a_pair_is_told(tmp_path, part):
    nibabel.save(nibabel.Nifti1Pair(np.ones((12, 14, 5), np.int16), AFFINE), tmp_path / "a.img.gz")
    blob = bytearray((tmp_path / part).read_bytes())
    blob[-6] ^= 1
    (tmp_path / part).write_bytes(blob)
    with pytest.raises(InputError, match=rf"{part} is damaged"):
        read_scan(tmp_path / "a.img.gz")


def test_a_damaged_file_is_told_as_such_whatever_its_header_then_says(tmp_path):
    save(tmp_path / "a.nii.gz")
    raw = bytearray(gzip.decompress((tmp_path / "a.nii.gz").read_bytes()))
    right = gzip.compress(bytes(raw), 1)
    raw[48] ^= 0x40  # far more slices than the voxels that follow
    wrong = gzip.compress(bytes(raw), 1)
    (tmp_path / "a.nii.gz").write_bytes(wrong[:-8] + right[-8:])
    with pytest.raises(InputError, match=r"a\.nii\.gz is damaged .its checksum is wrong"):
        read_scan(tmp_path / "a.nii.gz")


def test_voxels_of_no_number_in_a_damaged_file_are_not_blamed_on_the_scan(tmp_path):
    data = np.random.default_rng(0).uniform(0, 500, (24, 22, 9)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(data, AFFINE), tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    right = gzip.compress(bytes(raw), 1)
    raw[352:356] = np.array([np.nan], "<f4").tobytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(raw), 1)[:-8] + right[-8:])
    with pytest.raises(InputError, match="is damaged"):
        read_scan(tmp_path / "a.nii.gz")


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


@pytest.mark.parametrize(
    ("kilobytes", "words"),
    [(300_000, "this process may use 0.3 GiB of address space"), (1_070_000, "out of memory")],
)
def test_a_limit_of_memory_is_told_as_such(tmp_path, kilobytes, words):
    save(tmp_path / "a.nii.gz")
    command = f'exec "{sys.executable}" -m inversesr run a.nii.gz --solver spline'
    # as many threads as ever, each with an address space of its own
    env = {name: value for name, value in os.environ.items() if name not in processors.NAMES}
    ended = subprocess.run(
        ["bash", "-c", f"ulimit -v {kilobytes}; {command}"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, env=env,
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"inversesr: {words}")
    assert len(ended.stderr.splitlines()) == 1
