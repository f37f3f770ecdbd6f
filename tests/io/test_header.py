import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from inversesr.errors import InputError
from inversesr.io.masks import read_mask, read_regions
from inversesr.io.nifti import read_scan, scan_from_image, to_image
from inversesr.volume import Volume

SHAPE = (96, 100, 10)
GOOD = np.diag([1.0, 1.0, 6.0, 1.0])
GOOD[:3, 3] = [-48, -50, -30]


def voxels():
    return np.random.default_rng(0).integers(1, 500, SHAPE).astype(np.int16)


def made(sform=GOOD, qform=GOOD, codes=(1, 1), **fields):
    image = nibabel.Nifti1Image(voxels(), GOOD)
    image.set_sform(sform, codes[0])
    image.set_qform(qform, codes[1])
    image.header.set_xyzt_units("mm")
    # fields of the header that no function of nibabel would write
    raw = bytearray(image.to_bytes())
    header = np.frombuffer(raw[:348], image.header.template_dtype, 1).copy()
    for name, value in fields.items():
        header[name] = value
    raw[:348] = header.tobytes()
    return nibabel.Nifti1Image.from_bytes(bytes(raw))


def finer(scan):
    """The voxels of a scan six times as fine along the last axis."""
    fine = scan.volume.grid.respaced((*SHAPE[:2], 60), (1.0, 1.0, 1.0))
    return Volume(np.repeat(scan.volume.data, 6, axis=2), fine)


def corners_apart_mm(a, b):
    """Largest distance of corners, computed corner by corner."""
    apart = []
    for i in (0, SHAPE[0] - 1):
        for j in (0, SHAPE[1] - 1):
            for k in (0, SHAPE[2] - 1):
                p, q = (nibabel.affines.apply_affine(m, (i, j, k)) for m in (a, b))
                apart.append(np.linalg.norm(p - q))
    return max(apart)


def moved(shift_mm=(0, 0, 0), turn_degrees=0.0):
    affine = GOOD.copy()
    turn = Rotation.from_euler("z", turn_degrees, degrees=True).as_matrix()
    affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] += shift_mm
    return affine


@pytest.mark.parametrize(
    "qform", [moved((0, 60, 0)), moved((0, 0, 0.6)), moved(turn_degrees=3.0), moved((1, 1, 1), 1)]
)
def test_forms_that_disagree_are_told_with_the_distance_of_their_corners(qform):
    scan = scan_from_image(made(qform=qform))
    apart = corners_apart_mm(GOOD, qform)
    (warning,) = scan.warnings
    assert f"disagree by up to {apart:.3g} mm" in warning
    np.testing.assert_allclose(scan.volume.grid.affine, GOOD)


def test_forms_that_differ_by_rounding_are_not_told_of():
    assert scan_from_image(made(qform=moved((0.01, 0, 0), 0.01))).warnings == ()


def test_a_result_has_the_voxel_sizes_of_the_affine_that_was_used():
    image = made(pixdim=[1, 1, 1, 0, 1, 1, 1, 1])
    scan = scan_from_image(image)
    assert any("pixdim" in warning for warning in scan.warnings)
    result = to_image(finer(scan), scan)
    np.testing.assert_allclose(result.header["pixdim"][1:4], (1, 1, 1), rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(result.affine[:3, :3], axis=0), (1, 1, 1))
    assert int(result.header["qform_code"]) == 0


@pytest.mark.parametrize("codes", [(1, 1), (0, 1), (1, 0), (2, 4), (0, 0)])
def test_pixdim_and_both_forms_of_a_result_agree(codes):
    scan = scan_from_image(made(codes=codes))
    result = to_image(finer(scan), scan)
    np.testing.assert_allclose(result.header["pixdim"][1:4], (1, 1, 1), rtol=1e-6)
    for form in ("get_sform", "get_qform"):
        affine, code = getattr(result, form)(coded=True)
        if code:
            np.testing.assert_allclose(affine, result.affine, atol=1e-4)


@pytest.mark.parametrize(
    ("fields", "left_out"),
    [
        ({"quatern_b": 2.0, "quatern_c": 2.0}, "qform"),
        ({"quatern_b": np.nan}, "qform"),
        ({"qoffset_x": np.inf}, "qform"),
        ({"srow_x": np.zeros(4), "srow_y": np.zeros(4), "srow_z": np.zeros(4)}, "sform"),
        ({"srow_x": [np.nan, 0, 0, 0]}, "sform"),
    ],
)
def test_the_good_form_is_used_where_the_other_one_is_broken(fields, left_out):
    scan = scan_from_image(made(**fields))
    np.testing.assert_allclose(scan.volume.grid.affine, GOOD, atol=1e-4)
    assert any(f"broken {left_out}" in warning for warning in scan.warnings)
    result = to_image(finer(scan), scan)
    assert int(result.header[f"{left_out}_code"]) == 0
    np.testing.assert_allclose(result.affine, finer(scan).grid.affine, atol=1e-4)


def test_two_broken_forms_are_refused():
    with pytest.raises(InputError, match="repair the affine"):
        scan_from_image(made(quatern_b=2.0, quatern_c=2.0, srow_x=np.zeros(4)))


@pytest.mark.parametrize("codes", [(1, 1), (1, 0)])
@pytest.mark.parametrize("degrees", [5.0, 20.0])
def test_sheared_axes_are_told_with_their_angle(codes, degrees):
    sheared = GOOD.copy()
    sheared[1, 2] = 6 * np.tan(np.deg2rad(degrees))
    warnings = scan_from_image(made(sform=sheared, qform=GOOD, codes=codes)).warnings
    assert any(f"{degrees:.3g} degrees from a right angle" in w for w in warnings)


def test_given_voxel_sizes_replace_those_of_the_header_about_the_same_centre():
    scan = scan_from_image(made(codes=(0, 0)), voxel_size=(0.5, 0.5, 5.0))
    grid = scan.volume.grid
    assert grid.spacing_mm == pytest.approx((0.5, 0.5, 5.0))
    middle = (np.array(SHAPE) - 1) / 2.0
    before = scan_from_image(made(codes=(0, 0))).volume.grid
    np.testing.assert_allclose(
        nibabel.affines.apply_affine(grid.affine, middle),
        nibabel.affines.apply_affine(before.affine, middle),
    )
    assert any("--voxel-size" in warning for warning in scan.warnings)


def test_a_mask_of_the_shape_of_the_scan_that_lies_elsewhere_is_told_of(tmp_path):
    nibabel.save(made(), tmp_path / "scan.nii.gz")
    scan = read_scan(tmp_path / "scan.nii.gz")
    for name, affine in (("same", GOOD), ("moved", moved((0, 20, 0)))):
        mask = nibabel.Nifti1Image(np.ones(SHAPE, np.uint8), affine)
        nibabel.save(mask, tmp_path / f"{name}.nii.gz")
    assert read_regions([tmp_path / "same.nii.gz"], scan)[1].warnings == scan.warnings
    (warning,) = read_regions([tmp_path / "moved.nii.gz"], scan)[1].warnings
    assert "20 mm elsewhere" in warning
    assert not read_mask(tmp_path / "moved.nii.gz", scan.volume.grid)[0].all()


@pytest.mark.parametrize("code", [4, 6, 7])
def test_a_unit_without_a_meaning_is_unknown(tmp_path, code):
    nibabel.save(made(), tmp_path / "a.nii")
    blob = bytearray((tmp_path / "a.nii").read_bytes())
    blob[123] = code
    (tmp_path / "a.nii").write_bytes(blob)
    scan = read_scan(tmp_path / "a.nii")
    assert scan.warnings == ()
    assert to_image(scan.volume, scan).header.get_xyzt_units()[0] == "mm"
