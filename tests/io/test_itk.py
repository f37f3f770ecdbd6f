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


def saved(path, *, is_compressed=True):
    """An image of which ITK wrote each voxel."""
    data = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
    image = SimpleITK.GetImageFromArray(data.transpose(2, 1, 0))
    image.SetSpacing((1.0, 1.0, 5.0))
    SimpleITK.WriteImage(image, str(path), is_compressed)
    return data


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_a_flipped_bit_among_compressed_voxels_never_gives_another_image(tmp_path, name):
    data = saved(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(1)
    n_refused = 0
    for position in rng.integers(len(whole) - 1200, len(whole), 60):
        changed = bytearray(whole)
        changed[position] ^= 1 << int(rng.integers(8))
        (tmp_path / name).write_bytes(changed)
        try:
            np.testing.assert_array_equal(read_scan(tmp_path / name).volume.data, data)
        except InputError:
            n_refused += 1
    assert n_refused > 55


@pytest.mark.parametrize(("name", "part"), [("a.nhdr", "a.raw.gz"), ("a.mhd", "a.zraw")])
def test_damage_to_a_file_of_voxels_beside_its_header_is_told(tmp_path, name, part):
    saved(tmp_path / name)
    blob = bytearray((tmp_path / part).read_bytes())
    blob[len(blob) // 2] ^= 4
    (tmp_path / part).write_bytes(blob)
    with pytest.raises(InputError, match="is damaged"):
        read_scan(tmp_path / name)


@pytest.mark.parametrize(("name", "part"), [("a.nhdr", "a.raw.gz"), ("a.mhd", "a.zraw")])
def test_a_header_without_its_voxels_says_what_is_missing(tmp_path, name, part):
    saved(tmp_path / name)
    (tmp_path / part).unlink()
    with pytest.raises(InputError, match=rf"needs .*{part}, which does not exist"):
        read_scan(tmp_path / name)


@pytest.mark.parametrize("is_compressed", [True, False])
@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("a.nrrd", b"sizes: 12 14 5", b"sizes: 12 14 4"),
        ("a.nrrd", b"sizes: 12 14 5", b"sizes: 10 14 5"),
        ("a.mha", b"DimSize = 12 14 5", b"DimSize = 12 14 4"),
    ],
)
def test_a_header_that_declares_fewer_voxels_than_there_are_is_refused(
    tmp_path, name, right, wrong, is_compressed
):
    saved(tmp_path / name, is_compressed=is_compressed)
    blob = (tmp_path / name).read_bytes()
    assert right in blob
    (tmp_path / name).write_bytes(blob.replace(right, wrong))
    with pytest.raises(InputError, match="its header is damaged"):
        read_scan(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("a.nrrd", b"space: left-posterior-superior", b"space: 3D-right-handed"),
        ("a.mha", b"TransformMatrix", b"Something"),
    ],
)
def test_axes_that_the_file_does_not_name_are_a_guess(tmp_path, name, right, wrong):
    data = saved(tmp_path / name)
    blob = (tmp_path / name).read_bytes()
    assert right in blob
    (tmp_path / name).write_bytes(blob.replace(right, wrong))
    scan = read_scan(tmp_path / name)
    assert any("left and right are a guess" in warning for warning in scan.warnings)
    np.testing.assert_array_equal(scan.volume.data, data)
    assert scan.volume.grid.spacing_mm == pytest.approx((1.0, 1.0, 5.0))


def test_a_file_that_declares_more_than_memory_is_refused_unread(tmp_path, monkeypatch):
    saved(tmp_path / "a.nrrd")
    monkeypatch.setattr("inversesr.io.checks.available_memory_bytes", lambda: 2000)
    with pytest.raises(InputError, match="of memory are free"):
        read_scan(tmp_path / "a.nrrd")


def test_sheared_axes_are_told_of(tmp_path):
    image = SimpleITK.GetImageFromArray(np.random.default_rng(0).uniform(0, 1, (5, 14, 12)))
    sheared = np.eye(3)
    sheared[:, 2] = (0.0, np.sin(0.1), np.cos(0.1))
    image.SetDirection(sheared.ravel().tolist())
    image.SetSpacing((1.0, 1.0, 5.0))
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    scan = read_scan(tmp_path / "a.nrrd")
    assert any("5.73 degrees from a right angle" in warning for warning in scan.warnings)
