import errno
import gzip
import os

import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError, MachineError
from inversesr.io import streams as module
from inversesr.io.streams import path_of, read_voxels, refuse_damage

SHAPE = (24, 22, 9)
AFFINE = np.diag([1.0, 1.0, 4.0, 1.0])
DATA = np.random.default_rng(0).integers(0, 500, SHAPE).astype(np.int16)


def proxy_of(path, blob=None):
    """The voxels of an image that nibabel opened, and whose file then became another."""
    nibabel.save(nibabel.Nifti1Image(DATA, AFFINE), path)
    proxy = nibabel.load(path).dataobj
    if blob is not None:
        path.write_bytes(blob(path.read_bytes()))
    return proxy


def failing(number):
    """A function that fails as the system does."""

    def fail(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_the_voxels_are_those_of_nibabel(tmp_path, name):
    found = read_voxels(proxy_of(tmp_path / name), name)
    np.testing.assert_array_equal(found.data, DATA)
    assert (found.n_surplus, found.has_trailer) == (0, False)


def test_scaled_voxels_are_read_as_nibabel_scales_them(tmp_path):
    image = nibabel.Nifti1Image(np.random.default_rng(0).uniform(-3, 9, SHAPE), AFFINE)
    image.set_data_dtype(np.uint8)
    nibabel.save(image, tmp_path / "a.nii.gz")
    proxy = nibabel.load(tmp_path / "a.nii.gz").dataobj
    np.testing.assert_array_equal(read_voxels(proxy, "a").data, np.asarray(proxy, np.float32))


def test_a_part_is_read_and_the_rest_is_judged(tmp_path):
    series = np.stack([DATA, DATA + 1, DATA + 2], axis=-1)
    nibabel.save(nibabel.Nifti1Image(series, AFFINE), tmp_path / "a.nii.gz")
    proxy = nibabel.load(tmp_path / "a.nii.gz").dataobj
    np.testing.assert_array_equal(read_voxels(proxy, "a", (..., 1)).data, DATA + 1)
    blob = bytearray((tmp_path / "a.nii.gz").read_bytes())
    blob[-6] ^= 1
    (tmp_path / "a.nii.gz").write_bytes(blob)
    with pytest.raises(InputError, match="its checksum is wrong"):
        read_voxels(proxy, "a", (..., 0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda blob: blob[:-1], "it ends too early"),
        (lambda blob: blob[: len(blob) // 2], "it ends too early"),
        (lambda blob: blob[:-8] + bytes(4) + blob[-4:], "its checksum is wrong"),
        (lambda blob: blob[:-4] + bytes(4), "its checksum is wrong"),
        (lambda blob: blob[:30] + bytes(40) + blob[70:], "damaged"),
    ],
)
def test_damage_is_told_by_its_kind(tmp_path, change, words):
    proxy = proxy_of(tmp_path / "a.nii.gz", change)
    with pytest.raises(InputError, match=rf"is damaged .*{words}|damaged"):
        read_voxels(proxy, "a.nii.gz")
    with pytest.raises(InputError, match=words):
        refuse_damage(tmp_path / "a.nii.gz", "a.nii.gz")


def test_bytes_behind_an_intact_stream_do_not_make_it_damaged(tmp_path):
    proxy = proxy_of(tmp_path / "a.nii.gz", lambda blob: blob + b"some bytes")
    found = read_voxels(proxy, "a")
    np.testing.assert_array_equal(found.data, DATA)
    assert found.has_trailer
    refuse_damage(tmp_path / "a.nii.gz", "a")


def test_zeros_behind_a_stream_are_padding(tmp_path):
    assert not read_voxels(
        proxy_of(tmp_path / "a.nii.gz", lambda b: b + bytes(512)), "a"
    ).n_surplus


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_what_lies_behind_the_voxels_is_counted(tmp_path, name):
    def longer(blob):
        if name.endswith("gz"):
            return gzip.compress(gzip.decompress(blob) + b"1234567")
        return blob + b"1234567"

    assert read_voxels(proxy_of(tmp_path / name, longer), "a").n_surplus == 7


@pytest.mark.parametrize("code", ["EIO", "ESTALE", "EACCES", "EMFILE", "ETIMEDOUT"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_machine_that_fails_at_any_byte_is_told_as_such(tmp_path, monkeypatch, name, code):
    proxy = proxy_of(tmp_path / name)
    number = getattr(errno, code)
    monkeypatch.setattr(module.ArrayProxy, "__array__", failing(number))
    with pytest.raises(MachineError, match=os.strerror(number)):
        read_voxels(proxy, name)
    monkeypatch.undo()
    monkeypatch.setattr(module, "_read_on", failing(number))
    with pytest.raises(MachineError, match=os.strerror(number)):
        read_voxels(proxy, name)


def test_an_empty_memory_is_no_damage(tmp_path, monkeypatch):
    proxy = proxy_of(tmp_path / "a.nii.gz")

    def fail(*_args, **_kwargs):
        raise MemoryError

    monkeypatch.setattr(module.ArrayProxy, "__array__", fail)
    with pytest.raises(MemoryError):
        read_voxels(proxy, "a")


def test_a_small_file_of_very_much_is_not_read_to_its_end_only_to_name_a_fault(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "MOST_BYTES_TO_DIAGNOSE", 2**20)
    blob = bytearray(gzip.compress(bytes(2**24)))
    blob[-6] ^= 1
    (tmp_path / "a.nii.gz").write_bytes(blob)
    refuse_damage(tmp_path / "a.nii.gz", "a")


def test_voxels_in_memory_have_no_file():
    image = nibabel.Nifti1Image(DATA, AFFINE)
    assert path_of(image.dataobj) is None
    assert path_of(nibabel.Nifti1Image.from_bytes(image.to_bytes()).dataobj) is None
