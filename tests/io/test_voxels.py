import gzip

import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.nifti import read_scan, scan_from_image
from inversesr.io.voxels import read_array

SHAPE = (12, 14, 5)
AFFINE = np.diag([1.0, 1.0, 4.0, 1.0])
DATA = np.random.default_rng(0).integers(1, 500, SHAPE).astype(np.int16)


def image():
    return nibabel.Nifti1Image(DATA, AFFINE)


def store(path, blob):
    path.write_bytes(gzip.compress(blob) if path.name.endswith("gz") else blob)
    return path


def test_voxels_in_memory_are_taken_as_they_are():
    found, odd = read_array(image(), "it")
    np.testing.assert_array_equal(found, DATA)
    assert found.dtype == np.float32
    assert odd == ()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize(("axis", "n"), [(1, 8), (2, 12), (3, 4)])
def test_a_header_that_declares_fewer_voxels_than_there_are_is_refused(tmp_path, name, axis, n):
    blob = bytearray(image().to_bytes())
    blob[40 + 2 * axis : 42 + 2 * axis] = np.array([n], "<i2").tobytes()
    with pytest.raises(InputError, match=r"bytes more than the .* its header is damaged"):
        read_scan(store(tmp_path / name, bytes(blob)))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_voxels_said_to_be_of_a_smaller_type_are_refused(tmp_path, name):
    blob = bytearray(image().to_bytes())
    blob[70:74] = np.array([2, 8], "<i2").tobytes()  # uint8
    with pytest.raises(InputError, match=r"840 bytes more .* of uint8"):
        read_scan(store(tmp_path / name, bytes(blob)))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_voxels_that_would_begin_in_front_of_where_they_do_are_refused(tmp_path, name):
    made = image()
    made.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"x" * 100))
    blob = bytearray(made.to_bytes())
    blob[108:112] = np.array([352.0], "<f4").tobytes()
    with pytest.raises(InputError, match="bytes more"):
        read_scan(store(tmp_path / name, bytes(blob)))


# nibabel does not close an .mgh whose header it has read
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["a.mgh", "a.mgz"])
def test_times_and_tags_behind_the_voxels_of_freesurfer_are_none_of_them(tmp_path, name):
    nibabel.save(nibabel.MGHImage(DATA, AFFINE), tmp_path / name)
    blob = (tmp_path / name).read_bytes()
    raw = gzip.decompress(blob) if name == "a.mgz" else blob
    raw += np.array([2000.0, 0.5, 10.0, 900.0, 0.0], ">f4").tobytes() + b"tags"
    (tmp_path / name).write_bytes(gzip.compress(raw) if name == "a.mgz" else raw)
    np.testing.assert_array_equal(read_scan(tmp_path / name).volume.data, DATA)


def test_bytes_behind_a_compressed_image_are_told_of(tmp_path):
    path = store(tmp_path / "a.nii.gz", image().to_bytes())
    path.write_bytes(path.read_bytes() + b"appended")
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.volume.data, DATA)
    assert any("no part of it" in warning for warning in scan.warnings)


def test_an_image_that_a_user_opened_is_read_to_its_end_too(tmp_path):
    path = store(tmp_path / "a.nii.gz", image().to_bytes())
    blob = bytearray(path.read_bytes())
    blob[-6] ^= 1
    path.write_bytes(blob)
    with pytest.raises(InputError, match="is damaged"):
        scan_from_image(nibabel.load(path))
