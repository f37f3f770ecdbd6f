import gzip
import struct

import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.nifti import read_scan

DATA = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


def saved(path, offset, cls=nibabel.Nifti1Image, order="<"):
    """Write an image whose header says that its voxels begin elsewhere."""
    image = cls(DATA, np.diag([1.0, 1.0, 4.0, 1.0]))
    if order == ">":
        image = cls(DATA, image.affine, image.header.as_byteswapped(">"))
    blob = bytearray(image.to_bytes())
    place, kind = (108, "f") if cls is nibabel.Nifti1Image else (168, "q")
    struct.pack_into(order + kind, blob, place, offset)
    path.write_bytes(gzip.compress(bytes(blob)) if path.name.endswith("gz") else bytes(blob))
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("cls", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
def test_voxels_that_begin_at_byte_0_are_read_behind_the_header_and_told_of(
    tmp_path, name, cls, order
):
    scan = read_scan(saved(tmp_path / name, 0, cls, order))
    np.testing.assert_array_equal(scan.volume.data, DATA)
    assert any("vox_offset" in warning for warning in scan.warnings)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize(
    ("offset", "words"),
    [
        (348, "within its header"),
        (350, "within its header"),
        (1, "within its header"),
        (1e6, "beyond the end"),
        (1e18, "beyond the end"),
        (-16, "no place in a file"),
        (float("nan"), "no place in a file"),
        (float("inf"), "no place in a file"),
        (352.5, "no place in a file"),
    ],
)
def test_a_place_that_cannot_be_is_refused_with_its_cause(tmp_path, name, offset, words):
    with pytest.raises(InputError, match=rf"vox_offset\), .*{words}"):
        read_scan(saved(tmp_path / name, offset))


def test_a_right_place_is_used_in_silence(tmp_path):
    scan = read_scan(saved(tmp_path / "a.nii", 352))
    np.testing.assert_array_equal(scan.volume.data, DATA)
    assert scan.warnings == ()
