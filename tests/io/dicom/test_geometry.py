import numpy as np
import pytest

from inversesr.io.dicom.files import read_place
from inversesr.io.dicom.geometry import find_layout, n_orientations
from tests.support.dicom import affine_of, slices, stack, write

AFFINE = affine_of(turn=(0.2, -0.3, 0.1))


def layout_of(folder, made):
    return find_layout(read_place(write(folder, made), folder))


def series(n=8, affine=AFFINE, **facts):
    return slices(stack((12, 10, n)), affine, **facts)


@pytest.mark.parametrize("turn", [(0, 0, 0), (0.2, -0.3, 0.1), (0, 1.57, 0), (1.5, 0.1, 0)])
def test_the_affine_is_that_of_the_positions(tmp_path, turn):
    affine = affine_of(turn=turn)
    layout, fault = layout_of(tmp_path, series(affine=affine))
    assert not fault
    assert layout.shape == (12, 10, 8)
    np.testing.assert_allclose(layout.affine @ [11, 9, 7, 1], affine @ [11, 9, 7, 1], atol=1e-4)
    np.testing.assert_allclose(layout.spacing_mm, (0.9, 0.8, 5.0), atol=1e-5)


def test_slices_in_any_order_are_the_same_image(tmp_path):
    made = series()
    layout, _ = layout_of(tmp_path / "a", made)
    for n, k in enumerate(np.random.default_rng(1).permutation(8)):
        made[k].InstanceNumber = n + 1
    other, _ = layout_of(tmp_path / "b", made[::-1])
    np.testing.assert_array_equal(layout.affine, other.affine)


def test_what_the_header_says_of_the_distance_is_not_believed(tmp_path):
    made = series()
    for one in made:
        one.SpacingBetweenSlices = 1.0
    layout, _ = layout_of(tmp_path, made)
    assert layout.spacing_mm[2] == pytest.approx(5.0, abs=1e-5)


@pytest.mark.parametrize("left_out", [[3], [2, 3], [2, 5], [1], [6]], ids=str)
def test_slices_are_missing_where_positions_leave_a_hole(tmp_path, left_out):
    made = [one for k, one in enumerate(series()) if k not in left_out]
    layout, fault = layout_of(tmp_path, made)
    assert not fault
    assert layout.missing == tuple(left_out)
    assert layout.shape == (12, 10, 8)
    assert layout.spacing_mm[2] == pytest.approx(5.0, abs=1e-5)
    np.testing.assert_allclose(layout.affine @ [11, 9, 7, 1], AFFINE @ [11, 9, 7, 1], atol=1e-4)


@pytest.mark.parametrize(
    ("left_out", "told"),
    [([1, 3, 4, 5], "lacks 4 slices"), ([2, 3, 4, 5, 6, 7, 8, 9], "lacks 8 slices")],
)
def test_a_stack_of_which_much_is_missing_is_refused_and_the_holes_named(tmp_path, left_out, told):
    n = 8 if len(left_out) < 8 else 40
    made = [one for k, one in enumerate(series(n)) if k not in left_out]
    layout, fault = layout_of(tmp_path, made)
    assert layout is None
    assert told in fault
    assert f"{left_out[0]} and {left_out[0] + 1}" in fault


def test_a_series_that_lacks_every_other_slice_is_a_coarser_one(tmp_path):
    layout, fault = layout_of(tmp_path, series()[::2])
    assert not fault
    assert layout.spacing_mm[2] == pytest.approx(10.0, abs=1e-5)


def test_a_doubled_slice_is_named(tmp_path):
    made, again = series(), series(series="1")
    again[4].SOPInstanceUID = "1.2.3"
    again[4].file_meta.MediaStorageSOPInstanceUID = again[4].SOPInstanceUID
    layout, fault = layout_of(tmp_path, [*made, again[4]])
    assert layout is None
    assert "slice 5" in fault
    assert "more than once" in fault


def test_a_series_of_volumes_is_counted(tmp_path):
    made = [*series(), *series()]
    for n, one in enumerate(made):
        one.SOPInstanceUID, one.InstanceNumber = f"1.2.3.{n}", n + 1
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    layout, fault = layout_of(tmp_path / "a", made)
    assert (layout.n_volumes, layout.shape[2], fault) == (2, 8, "")
    layout, fault = layout_of(tmp_path / "b", made[:-1])
    assert layout is None
    assert "as often" in fault or "more than once" in fault


def test_uneven_slices_are_refused_with_the_range_of_their_distances(tmp_path):
    made = series(affine=affine_of())
    for k, shift in ((3, 1.7), (6, -0.9)):
        made[k].ImagePositionPatient = [40.0, 30.0, 10.0 + 5.0 * k + shift]
    _, fault = layout_of(tmp_path, made)
    assert "unevenly spaced" in fault
    assert "6.7 mm" in fault


def test_positions_rounded_to_a_tenth_are_even(tmp_path):
    made = series(20, affine_of(spacing=(0.9, 0.9, 7.0), turn=(0.13, 0, 0)))
    for one in made:
        one.ImagePositionPatient = [round(float(v), 1) for v in one.ImagePositionPatient]
    layout, fault = layout_of(tmp_path, made)
    assert not fault
    assert layout.spacing_mm[2] == pytest.approx(7.0, abs=0.01)


@pytest.mark.parametrize("degrees", [1.0, 12.0])
def test_a_sheared_stack_is_refused_with_its_angle(tmp_path, degrees):
    affine = affine_of()
    affine[1, 2] = 5.0 * np.tan(np.radians(degrees))
    _, fault = layout_of(tmp_path, series(12, affine))
    assert f"sheared by {degrees:g} degrees" in fault


def test_slices_of_several_orientations_make_up_no_image(tmp_path):
    made = [*series(3, affine_of()), *series(3, affine_of(turn=(0, 1.5707963, 0)))]
    for n, one in enumerate(made):
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{n}"
    instances = read_place(write(tmp_path, made), tmp_path)
    assert "2 orientations" in find_layout(instances)[1]
    assert n_orientations([f for i in instances for f in i.frames]) == 2


def test_slices_of_different_size_make_up_no_image(tmp_path):
    made = [*series(5), *slices(stack((14, 10, 8)), AFFINE)[5:]]
    assert "different size (12 x 10 and 14 x 10" in layout_of(tmp_path, made)[1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda ds: delattr(ds, "ImagePositionPatient"), "where its slices lie"),
        (lambda ds: delattr(ds, "PixelSpacing"), "size of its voxels"),
        (lambda ds: setattr(ds, "PixelSpacing", [0.0, 0.0]), "size of its voxels"),
        (lambda ds: setattr(ds, "ImageOrientationPatient", [0.0] * 6), "that is none"),
    ],
    ids=["position", "spacing", "no size", "orientation"],
)
def test_what_cannot_be_placed_is_refused(tmp_path, change, told):
    made = series()
    for one in made:
        change(one)
    assert told in layout_of(tmp_path, made)[1]


@pytest.mark.parametrize(("n", "told"), [(1, "one slice"), (2, "2 slices")])
def test_fewer_than_three_slices_are_refused(tmp_path, n, told):
    assert told in layout_of(tmp_path, series()[:n])[1]
