from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline

from inversesr.acquisition.geometry import describe_acquisition, fine_grid, forward_operator
from inversesr.acquisition.missing import (
    check_missing,
    filled_volume,
    filling_matrix,
    generated_share,
    measured,
    measured_volume,
    missing_slices,
    named_slices,
    parse_slices,
    put_back,
)
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.volume import Grid, Volume
from tests.support.heads import head_volume


def head(sidecar=None):
    return replace(Scan.made_here(head_volume()), sidecar=sidecar or {}, name="head")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("4", (4,)), ("4,7-9", (4, 7, 8, 9)), ("9, 2 ,2-3", (2, 3, 9)), ("0-0", (0,))],
)
def test_numbers_and_ranges_name_slices(text, expected):
    assert parse_slices(text, "--missing") == expected


@pytest.mark.parametrize("text", ["", "a", "-1", "3-", "5-2", "1.5", "1;2", "1,,2", "9" * 9])
def test_what_names_no_slices_is_refused(text):
    with pytest.raises(InputError, match=r"--missing is .*; expected numbers of slices"):
        parse_slices(text, "--missing")


def test_sidecar_and_option_add_up():
    scan = head({"MissingSlices": [5, 2]})
    assert missing_slices(scan, Config()) == (2, 5)
    assert missing_slices(scan, Config(missing="3")) == (2, 3, 5)
    assert missing_slices(head(), Config()) == ()


@pytest.mark.parametrize("stated", ["4", [1.5], [-1], [True], {"4": 1}])
def test_a_sidecar_that_names_no_slices_is_refused(stated):
    with pytest.raises(InputError, match="MissingSlices is"):
        missing_slices(head({"MissingSlices": stated}), Config())


def test_slices_beyond_the_stack_and_a_stack_of_which_nothing_is_left_are_refused():
    with pytest.raises(InputError, match="slice 12 is to be missing and head has slices 0 to 11"):
        check_missing((3, 12), 12, "head")
    with pytest.raises(InputError, match="10 of 12 slices of head are missing"):
        check_missing(tuple(range(10)), 12, "head")


def test_slices_are_named_in_runs():
    assert named_slices((4,)) == "slice 4"
    assert named_slices((4, 7, 8, 9)) == "slices 4 and 7-9"
    assert named_slices((1, 3, 5)) == "slices 1, 3 and 5"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_what_was_measured_is_put_back_in_its_places(axis):
    data = np.random.default_rng(0).normal(size=(7, 8, 9)).astype(np.float32)
    kept = measured(data, axis, (2, 3))
    again = put_back(kept, axis, (2, 3))
    assert again.shape == data.shape
    np.testing.assert_array_equal(measured(again, axis, (2, 3)), kept)
    assert not np.take(again, [2, 3], axis).any()


def test_measured_slices_are_an_image_of_their_own():
    volume = head_volume()
    found = measured_volume(volume, 2, (1, 4))
    np.testing.assert_array_equal(found.data, np.delete(volume.data, (1, 4), 2))
    assert measured_volume(volume, 2, ()) is volume


def test_a_hole_is_filled_by_the_natural_spline_through_the_other_slices():
    volume = head_volume()
    n = volume.grid.shape[2]
    kept = [k for k in range(n) if k not in (4, 5)]
    through = CubicSpline(kept, volume.data[..., kept], axis=2, bc_type="natural")
    found = filled_volume(volume, 2, (4, 5)).data
    np.testing.assert_allclose(found, through(np.arange(n)), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(filling_matrix(n, (4, 5))[kept], np.eye(n - 2), atol=1e-12)


def test_beyond_the_outermost_measured_slice_its_value_is_kept():
    matrix = filling_matrix(6, (0, 5))
    np.testing.assert_allclose(matrix[0], matrix[1])
    np.testing.assert_allclose(matrix[5], matrix[4])


def test_the_generated_share_is_the_place_of_the_missing_slices():
    np.testing.assert_allclose(generated_share(4, 8, (1,)), [0, 0, 1, 1, 0, 0, 0, 0])
    np.testing.assert_allclose(generated_share(2, 3, (0,)), [1, 0.5, 0])
    assert generated_share(7, 33, (2, 3, 6)).sum() == pytest.approx(33 * 3 / 7)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_operator_is_that_of_all_slices_with_the_missing_rows_left_out(axis):
    shape = [8, 8, 8]
    shape[axis] = 6
    spacing = [1.0, 1.0, 1.0]
    spacing[axis] = 4.0
    data = np.random.default_rng(1).uniform(1, 2, shape).astype(np.float32)
    scan = Scan.made_here(Volume(data, Grid(tuple(shape), np.diag([*spacing, 1.0]))))
    whole = describe_acquisition(scan, Config())
    holed = describe_acquisition(scan, Config(missing="2,4"))
    fine = fine_grid(scan.volume.grid, whole)
    x = torch.randn(fine.shape, generator=torch.Generator().manual_seed(0))
    expected = forward_operator(scan.volume.grid, fine, whole)(x).numpy()
    found = forward_operator(scan.volume.grid, fine, holed)(x).numpy()
    np.testing.assert_allclose(found, np.delete(expected, (2, 4), axis), rtol=1e-5, atol=1e-6)


def test_a_thin_scan_with_missing_slices_is_no_longer_refused_as_isotropic():
    data = np.random.default_rng(1).uniform(1, 2, (8, 8, 8)).astype(np.float32)
    affine = np.diag([0.9, 0.9, 0.9, 1.0])
    scan = Scan.made_here(Volume(data, Grid((8, 8, 8), affine)))
    with pytest.raises(InputError, match="isotropic"):
        describe_acquisition(scan, Config())
    found = describe_acquisition(scan, Config(missing="3"))
    assert found.missing == (3,)
    assert found.warnings[0].startswith("slice 3 (counted from 0) is missing from the scan")
