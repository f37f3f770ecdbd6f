import nibabel
import numpy as np
import pytest
import SimpleITK
from scipy.spatial.transform import Rotation

from inversesr.errors import InputError
from inversesr.io.nifti import read_scan, to_image

SHAPE = (12, 14, 5)


def nifti(path):
    affine = np.eye(4)
    turn = Rotation.from_rotvec([0.1, -0.2, 0.3]).as_matrix()
    affine[:3, :3] = turn * np.array([0.9, 0.9, 5.0])
    affine[:3, 3] = [10.0, -20.0, 30.0]
    data = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
    image = nibabel.Nifti1Image(data, affine)
    image.set_qform(affine, 1)
    nibabel.save(image, path)
    return data, affine


@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr", "a.mha", "a.mhd"])
def test_what_slicer_writes_is_read_with_its_voxels_where_they_were(tmp_path, name):
    data, affine = nifti(tmp_path / "a.nii.gz")
    # ITK reads NIfTI by a code of its own: an independent way to the same image
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(tmp_path / "a.nii.gz")), str(tmp_path / name))
    scan = read_scan(tmp_path / name)
    np.testing.assert_array_equal(scan.volume.data, data)
    np.testing.assert_allclose(scan.volume.grid.affine, affine, atol=1e-4)
    assert (scan.name, scan.warnings) == ("a", ())
    np.testing.assert_allclose(to_image(scan.volume, scan).affine, affine, atol=1e-4)


@pytest.mark.parametrize("cls", [nibabel.Nifti1Pair, nibabel.Spm99AnalyzeImage])
@pytest.mark.parametrize("ending", [".hdr", ".img"])
def test_pairs_of_header_and_voxels_are_read(tmp_path, cls, ending):
    data = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
    nibabel.save(cls(data, np.diag([1.0, 1.0, 5.0, 1.0])), tmp_path / "a.img")
    scan = read_scan(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(scan.volume.data, data)
    assert scan.volume.grid.spacing_mm == pytest.approx((1.0, 1.0, 5.0))
    is_guessed = any("left and right" in warning for warning in scan.warnings)
    assert is_guessed == (cls is nibabel.Spm99AnalyzeImage)


def test_half_a_pair_says_what_is_missing(tmp_path):
    image = nibabel.Nifti1Pair(np.ones(SHAPE, np.int16), np.eye(4))
    nibabel.save(image, tmp_path / "a.img")
    (tmp_path / "a.img").unlink()
    with pytest.raises(InputError, match=r"needs .*a\.img, which does not exist"):
        read_scan(tmp_path / "a.hdr")


def test_colours_and_series_are_refused(tmp_path):
    colours = SimpleITK.GetImageFromArray(np.ones((5, 6, 7, 3), np.uint8), isVector=True)
    SimpleITK.WriteImage(colours, str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match="3 values"):
        read_scan(tmp_path / "a.nrrd")


def test_a_cut_off_file_is_refused(tmp_path):
    nifti(tmp_path / "a.nii.gz")
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(tmp_path / "a.nii.gz")), str(tmp_path / "a.nrrd"))
    whole = (tmp_path / "a.nrrd").read_bytes()
    (tmp_path / "a.nrrd").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not a readable image"):
        read_scan(tmp_path / "a.nrrd")
