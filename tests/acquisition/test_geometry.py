from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from inversesr.acquisition import geometry as module
from inversesr.acquisition.geometry import (
    describe_acquisition,
    find_slice_axis,
    fine_grid,
    forward_operator,
)
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.operators.slice_interpolation import interpolation_matrix
from inversesr.operators.slice_profile import PROFILES
from inversesr.volume import Grid, Volume
from tests.support.heads import head_volume


def scan_of(spacing_mm, shape=(8, 9, 7), sidecar=None, slice_axis=None):
    affine = np.eye(4)
    turn = Rotation.from_rotvec([0.1, -0.3, 0.2]).as_matrix()
    affine[:3, :3] = turn * np.array(spacing_mm)
    affine[:3, 3] = [11.0, -7.0, 3.0]
    scan = Scan.made_here(Volume(np.ones(shape, np.float32), Grid(shape, affine)))
    return replace(scan, name="head", sidecar=sidecar or {}, slice_axis=slice_axis)


def described(voxel_mm=(1.0, 1.0, 5.0), sidecar=None, **choices):
    return describe_acquisition(scan_of(voxel_mm, sidecar=sidecar), Config(**choices))


def test_without_more_knowledge_the_slices_touch_and_a_warning_says_so():
    found = described()
    assert (found.slice_axis, found.slice_spacing_mm) == (2, pytest.approx(5.0))
    assert found.thickness_mm == pytest.approx(5.0)
    assert found.gap_mm == pytest.approx(0.0, abs=1e-9)
    assert found.fine_spacing_mm == pytest.approx((1.0, 1.0, 1.0))
    assert "not stated" in found.warnings[0]


def test_the_sidecar_knows_better_than_the_header():
    found = described(sidecar={"SliceThickness": 4, "SpacingBetweenSlices": 5.0})
    assert found.thickness_mm == 4.0
    assert found.gap_mm == pytest.approx(1.0)
    assert found.warnings == ()
    assert any("from the sidecar" in sentence for sentence in found.assumptions)


def test_the_options_know_better_than_the_sidecar():
    found = described(sidecar={"SliceThickness": 4.0}, thickness_mm=3.0)
    assert found.thickness_mm == 3.0
    assert found.warnings == ()
    assert any("from the options" in sentence for sentence in found.assumptions)


def test_the_options_silence_a_sidecar_that_contradicts_the_image():
    found = described(sidecar={"SpacingBetweenSlices": 6.0}, thickness_mm=3.0)
    assert found.thickness_mm == 3.0


def test_a_gap_alone_gives_the_thickness():
    assert described(gap_mm=1.5).thickness_mm == pytest.approx(3.5)


def test_a_stated_thickness_above_the_distance_is_an_overlap():
    assert described(thickness_mm=6.0).gap_mm == pytest.approx(-1.0)
    assert described(sidecar={"SliceThickness": 6.0}).gap_mm == pytest.approx(-1.0)
    assert described(gap_mm=-1.0).thickness_mm == pytest.approx(6.0)
    assert described(gap_mm=-1.0, thickness_mm=6.0).gap_mm == pytest.approx(-1.0)
    both = {"SliceThickness": 6.0, "SpacingBetweenSlices": 5.0}
    assert described(sidecar=both).gap_mm == pytest.approx(-1.0)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_the_profile_is_the_one_asked_for(profile):
    assert described(profile=profile).profile == profile


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"gap_mm": 5.0}, "leaves no slice"),
        ({"gap_mm": 7.0}, "leaves no slice"),
        ({"thickness_mm": 4.0, "gap_mm": 0.5}, "must add up"),
        ({"thickness_mm": 30.0, "gap_mm": -25.0}, "overlap more than"),
    ],
)
def test_options_that_contradict_the_image_are_refused(choices, words):
    with pytest.raises(InputError, match=words):
        described(**choices)


@pytest.mark.parametrize(
    ("sidecar", "words"),
    [
        ({"SpacingBetweenSlices": 4.0}, "the sidecar says"),
        ({"SliceThickness": 30.0, "SpacingBetweenSlices": 5.0}, "overlap more than"),
        ({"SliceThickness": 0.0}, "expected a number from .* give --thickness"),
        ({"SliceThickness": 5000}, "is 5000; expected a number from .* give --thickness"),
        ({"SliceThickness": 0.004}, "expected a number from .* give --thickness"),
        ({"SliceThickness": {"value": 4}}, "expected a number from .* give --thickness"),
        ({"SliceThickness": "\n\ud800" * 99}, "expected a number from .* give --thickness"),
        ({"SliceThickness": -3}, "expected a number from .* give --thickness"),
        ({"SliceThickness": "4 mm"}, "expected a number from .* give --thickness"),
        ({"SliceThickness": [4.0]}, "expected a number from .* give --thickness"),
        ({"SliceThickness": True}, "expected a number from .* give --thickness"),
        ({"SpacingBetweenSlices": float("nan")}, "expected a number from .* give --thickness"),
        ({"SpacingBetweenSlices": float("inf")}, "expected a number from .* give --thickness"),
    ],
)
def test_a_sidecar_that_makes_no_sense_is_refused(sidecar, words):
    with pytest.raises(InputError, match=words):
        described(sidecar=sidecar)


@pytest.mark.parametrize(
    "value", [0, -3, 5000, "4", "4 mm", [4], {}, True, float("inf")], ids=repr
)
@pytest.mark.parametrize("key", ["SliceThickness", "SpacingBetweenSlices"])
def test_whatever_the_sidecar_says_the_option_is_enough(key, value):
    sidecar = {key: value}
    with pytest.raises(InputError, match="--thickness") as caught:
        described(sidecar=sidecar)
    assert "\n" not in str(caught.value)
    assert described(sidecar=sidecar, thickness_mm=4.0).thickness_mm == 4.0


@pytest.mark.parametrize("key", ["SliceThickness", "SpacingBetweenSlices"])
def test_a_length_of_null_is_not_stated(key):
    assert "not stated" in described(sidecar={key: None}).warnings[0]


def test_an_isotropic_image_is_refused():
    with pytest.raises(InputError, match="already isotropic"):
        described((1.0, 1.02, 1.0))


def test_an_isotropic_image_is_refined_when_a_finer_spacing_is_asked_for():
    found = described((2.0, 2.0, 2.0), spacing_mm=1.0)
    assert found.fine_spacing_mm == (1.0, 1.0, 1.0)
    assert found.slice_axis == 2


@pytest.mark.parametrize("spacing_mm", [5.0, 6.0])
def test_a_spacing_that_refines_nothing_is_refused(spacing_mm):
    with pytest.raises(InputError, match="nothing to refine"):
        described(spacing_mm=spacing_mm)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_any_axis_may_be_the_slice_axis(axis):
    spacing, shape = [0.9, 0.9, 0.9], [8, 9, 10]
    spacing[axis], shape[axis] = 4.5, 6
    scan = scan_of(spacing, tuple(shape))
    found = describe_acquisition(scan, Config())
    assert found.slice_axis == axis
    fine = fine_grid(scan.volume.grid, found)
    assert fine.shape[axis] == 27
    A = forward_operator(scan.volume.grid, fine, found)
    assert A.out_shape == scan.volume.grid.shape
    assert [m is None for m in A.matrices] == [a != axis for a in range(3)]


def test_two_coarse_axes_are_both_refined():
    scan = scan_of((1.0, 3.0, 6.0), (8, 9, 5))
    found = describe_acquisition(scan, Config(thickness_mm=4.0))
    fine = fine_grid(scan.volume.grid, found)
    assert fine.shape == (8, 27, 30)
    A = forward_operator(scan.volume.grid, fine, found)
    # the slice axis has the gap, the in-plane axis averages over the whole voxel
    np.testing.assert_allclose(
        A.matrices[1], np.kron(np.eye(9), np.full((1, 3), 1.0 / 3.0)), atol=1e-12
    )
    expected = np.kron(np.eye(5), [[0.0, 0.25, 0.25, 0.25, 0.25, 0.0]])
    np.testing.assert_allclose(A.matrices[2], expected, atol=1e-12)


def test_among_equally_coarse_axes_the_stated_one_is_the_slice_axis():
    grid = scan_of((4.0, 1.0, 4.1)).volume.grid
    assert find_slice_axis(grid, 0) == 0
    assert find_slice_axis(grid, 2) == 2
    assert find_slice_axis(grid, None) == 2


def test_a_stated_axis_that_is_not_coarse_is_not_believed():
    assert find_slice_axis(scan_of((1.0, 1.0, 5.0)).volume.grid, 0) == 2


def test_a_constant_image_gives_a_constant_scan():
    scan = scan_of((1.0, 1.3, 3.7))
    found = describe_acquisition(scan, Config(profile="gaussian"))
    A = forward_operator(scan.volume.grid, fine_grid(scan.volume.grid, found), found)
    y = A(torch.ones(A.in_shape, dtype=torch.float64))
    torch.testing.assert_close(y, torch.ones(A.out_shape, dtype=torch.float64))


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 5.0), (5.0, 0.7, 0.7), (1.0, 2.0, 3.7)])
def test_the_fine_grid_keeps_centre_directions_and_extent(spacing_mm):
    scan = scan_of(spacing_mm)
    grid = scan.volume.grid
    fine = fine_grid(grid, describe_acquisition(scan, Config()))

    def corner(g, sign):
        half = sign * np.array(g.shape) / 2.0
        return g.affine @ np.append((np.array(g.shape) - 1) / 2.0 + half, 1.0)

    np.testing.assert_allclose(corner(fine, 0), corner(grid, 0), atol=1e-9)
    np.testing.assert_allclose(fine.directions, grid.directions, atol=1e-12)
    # opposite corners agree but for what a whole number of voxels cannot cover
    for sign in (-1, 1):
        off = np.abs(fine.directions.T @ (corner(fine, sign) - corner(grid, sign))[:3])
        assert (off <= np.array(fine.spacing_mm) / 4.0 + 1e-9).all()


def test_a_fine_grid_beyond_memory_is_refused(monkeypatch):
    scan = scan_of((1.0, 1.0, 5.0))
    found = describe_acquisition(scan, Config())
    monkeypatch.setattr(module, "available_memory_bytes", lambda: 1000)
    with pytest.raises(InputError, match="coarser --spacing"):
        fine_grid(scan.volume.grid, found)


@pytest.mark.parametrize(("thickness_mm", "n_warnings"), [(2.4, 1), (2.6, 0)])
def test_slices_far_thinner_than_their_distance_are_warned_of(thickness_mm, n_warnings):
    found = described(thickness_mm=thickness_mm)
    assert len([w for w in found.warnings if "unmeasured" in w]) == n_warnings


def sheared_scan(degrees, towards=1, distance=5.0, sidecar=None):
    """Slices 5 mm apart, each shifted within its plane with respect to the one before."""
    affine = np.diag([1.0, 1.0, distance, 1.0])
    affine[towards, 2] = distance * np.tan(np.deg2rad(degrees))
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec([0.1, -0.3, 0.2]).as_matrix()
    grid = Grid((8, 9, 7), turn @ affine)
    scan = Scan.made_here(Volume(np.ones(grid.shape, np.float32), grid))
    return replace(scan, name="head", sidecar=sidecar or {})


@pytest.mark.parametrize("towards", [0, 1])
@pytest.mark.parametrize("degrees", [0.0, 5.0, 20.0, 40.0])
def test_slices_of_a_sheared_scan_are_as_far_apart_as_their_planes(degrees, towards):
    scan = sheared_scan(degrees, towards)
    found = describe_acquisition(scan, Config())
    assert found.slice_spacing_mm == pytest.approx(5.0)
    assert found.thickness_mm == pytest.approx(5.0)
    assert found.fine_spacing_mm == pytest.approx((1.0, 1.0, 1.0))
    fine = fine_grid(scan.volume.grid, found)
    assert fine.shape == (8, 9, 35)
    assert fine.plane_distance_mm[2] == pytest.approx(1.0)
    # the voxels within a slice stay as they are
    np.testing.assert_allclose(fine.affine[:3, :2], scan.volume.grid.affine[:3, :2], atol=1e-9)


def test_a_right_sidecar_of_a_sheared_scan_is_taken_and_no_gap_is_made_up():
    sidecar = {"SliceThickness": 5.0, "SpacingBetweenSlices": 5.0}
    found = describe_acquisition(sheared_scan(20.0, sidecar=sidecar), Config())
    assert found.gap_mm == pytest.approx(0.0, abs=1e-9)
    assert found.warnings == ()
    with pytest.raises(InputError, match=r"5\.321 mm apart, the image says 5 mm"):
        describe_acquisition(sheared_scan(20.0, sidecar={"SpacingBetweenSlices": 5.321}), Config())


def test_a_slice_of_a_sheared_scan_averages_over_its_own_thickness():
    scan = sheared_scan(20.0)
    for stated in (5.0, 3.0):
        acquisition = describe_acquisition(scan, Config(thickness_mm=stated))
        fine = fine_grid(scan.volume.grid, acquisition)
        A = forward_operator(scan.volume.grid, fine, acquisition)
        planes = np.zeros(fine.shape, np.float32)
        planes[:, :, 15:20] = 1.0  # those of the slice in the middle
        seen = A(torch.from_numpy(planes))[4, 4]
        np.testing.assert_allclose(seen, [0, 0, 0, 1, 0, 0, 0], atol=1e-6)
        weights = A.adjoint(torch.eye(7)[3].expand(8, 9, 7).contiguous())[4, 4]
        assert int((weights > 1e-6).sum()) == stated


def test_a_coarse_axis_within_sheared_slices_is_refined_by_its_own_voxels():
    affine = np.diag([1.4, 1.4, 5.0, 1.0])
    affine[1, 2] = 5.0  # 45 degrees
    scan = Scan.made_here(Volume(np.ones((8, 9, 7), np.float32), Grid((8, 9, 7), affine)))
    found = describe_acquisition(scan, Config())
    assert found.fine_spacing_mm == pytest.approx((1.0, 1.0, 1.0))
    assert fine_grid(scan.volume.grid, found).shape == (11, 13, 35)


def test_a_header_that_says_nothing_is_told_as_such():
    grid = Grid((8, 9, 7), np.eye(4))
    scan = Scan.made_here(Volume(np.ones(grid.shape, np.float32), grid))
    unknown = replace(scan, header=replace(scan.header, qform_code=0, sform_code=0))
    with pytest.raises(InputError, match=r"no valid spatial information.* --voxel-size X,Y,Z"):
        describe_acquisition(unknown, Config())
    with pytest.raises(InputError, match=r"already isotropic.* --voxel-size .* the identity"):
        describe_acquisition(scan, Config())


def test_thick_slices_on_an_isotropic_grid_are_restored_once_they_are_stated():
    scan = scan_of((1.0, 1.0, 1.0), (8, 9, 30))
    with pytest.raises(InputError, match="the true --thickness of slices"):
        describe_acquisition(scan, Config())
    found = describe_acquisition(scan, Config(thickness_mm=3.0))
    assert (found.slice_axis, found.thickness_mm, found.is_overlapping) == (2, 3.0, True)
    assert found.fine_spacing_mm == pytest.approx((1.0, 1.0, 1.0))
    assert any("overlapping" in sentence for sentence in found.warnings)
    assert any("is assumed: no axis" in sentence for sentence in found.warnings)
    A = forward_operator(scan.volume.grid, fine_grid(scan.volume.grid, found), found)
    np.testing.assert_allclose(A.matrices[2][10, 8:13], [0, 1 / 3, 1 / 3, 1 / 3, 0], atol=1e-12)


def test_a_thickness_of_the_voxels_does_not_make_an_isotropic_image_thick():
    with pytest.raises(InputError, match="already isotropic"):
        described((1.0, 1.0, 1.0), thickness_mm=1.0)


def interpolated_scan(kind="linear", factor=5, sidecar=None, spacing=1.0):
    """Slices of a head interpolated to `factor` times as many."""
    head = head_volume((40, 44, 24), folds=25.0)
    weights = interpolation_matrix(
        kind, (np.arange(24 * factor) - (factor - 1) / 2.0) / factor, 24
    )
    y = np.round(head.data @ weights.T).astype(np.float32)
    grid = Grid(y.shape, np.diag([1.0, 1.0, spacing, 1.0]))
    return replace(Scan.made_here(Volume(y, grid)), name="head", sidecar=sidecar or {})


@pytest.mark.parametrize("kind", ["nearest", "linear", "cubic"])
def test_interpolated_slices_are_told_and_the_measured_ones_restored(kind):
    scan = interpolated_scan(kind)
    found = describe_acquisition(scan, Config())
    assert (found.slice_axis, found.slice_spacing_mm) == (2, pytest.approx(5.0))
    assert (found.thickness_mm, found.is_overlapping) == (pytest.approx(5.0), False)
    (warning,) = found.warnings
    assert "content along S ends at 0.1 cycles/mm" in warning
    assert "a thickness of 5 mm without gap is assumed" in warning
    fine = fine_grid(scan.volume.grid, found)
    assert fine.same_as(scan.volume.grid)
    A = forward_operator(scan.volume.grid, fine, found)
    # what is stored is the interpolation of averages over 5 voxels
    x = np.random.default_rng(0).normal(size=120)
    averages = x.reshape(24, 5).mean(axis=1)
    expected = interpolation_matrix(kind, (np.arange(120) - 2.0) / 5.0, 24) @ averages
    np.testing.assert_allclose(A.matrices[2] @ x, expected, atol=1e-9)


def test_a_stated_thickness_of_interpolated_slices_goes_before_their_distance():
    found = describe_acquisition(interpolated_scan(), Config(thickness_mm=4.0))
    assert (found.thickness_mm, found.gap_mm) == (4.0, pytest.approx(1.0))
    assert found.warnings == ()
    assert any("5 mm apart were interpolated linearly" in s for s in found.assumptions)
    assert describe_acquisition(interpolated_scan(), Config(gap_mm=2.0)).thickness_mm == 3.0
    both = Config(thickness_mm=4.0, gap_mm=1.0)
    assert describe_acquisition(interpolated_scan(), both).gap_mm == pytest.approx(1.0)


def test_slices_that_are_said_to_be_measured_as_stored_are_taken_so():
    scan = interpolated_scan(factor=2, spacing=2.5)
    found = describe_acquisition(scan, Config(thickness_mm=2.5))
    assert found.interpolated is None
    assert found.slice_spacing_mm == pytest.approx(2.5)
    overlap = describe_acquisition(scan, Config(thickness_mm=5.0, gap_mm=-2.5))
    assert overlap.interpolated is None
    assert overlap.is_overlapping


@pytest.mark.parametrize(
    ("sidecar", "thickness_mm"),
    [
        ({"SliceThickness": 4.0}, 4.0),
        ({"SliceThickness": 4.0, "SpacingBetweenSlices": 5.0}, 4.0),
        ({"SliceThickness": 1.0, "SpacingBetweenSlices": 1.0}, 5.0),
    ],
)
def test_the_sidecar_of_interpolated_slices_is_believed_where_it_tells_of_thick_ones(
    sidecar, thickness_mm
):
    found = describe_acquisition(interpolated_scan(sidecar=sidecar), Config())
    assert found.thickness_mm == pytest.approx(thickness_mm)
    assert found.slice_spacing_mm == pytest.approx(5.0)


def test_a_sidecar_that_fits_neither_stored_nor_measured_slices_is_refused():
    scan = interpolated_scan(sidecar={"SpacingBetweenSlices": 3.0})
    with pytest.raises(InputError, match=r"3 mm apart, the image says 1 mm.*--thickness"):
        describe_acquisition(scan, Config())


def test_measured_slices_beyond_the_first_stored_one_are_taken_at_its_edge():
    whole = interpolated_scan()
    scan = replace(whole, volume=whole.volume.cropped((slice(0, 40), slice(0, 44), slice(4, 120))))
    found = describe_acquisition(scan, Config())
    A = forward_operator(scan.volume.grid, fine_grid(scan.volume.grid, found), found)
    np.testing.assert_allclose(A.matrices[2].sum(axis=1), 1.0, atol=1e-9)


@pytest.mark.parametrize(
    ("voxel_mm", "target", "fine"),
    [
        ((1.0, 1.0, 5.0), (1.0, 1.0, 0.7), (1.0, 1.0, 0.7)),
        ((1.0, 1.0, 5.0), (0.5, 0.8, 1.25), (0.5, 0.8, 1.25)),
        ((5.0, 0.9, 0.9), (1.2, 0.45, 2.0), (1.2, 0.45, 0.9)),
        # what is finer than was asked for stays
        ((0.4, 1.0, 3.0), (0.7, 0.7, 0.7), (0.4, 0.7, 0.7)),
    ],
)
def test_each_axis_has_the_spacing_that_was_asked_for(voxel_mm, target, fine):
    scan = scan_of(voxel_mm)
    found = describe_acquisition(scan, Config(spacing_mm=target))
    assert found.fine_spacing_mm == pytest.approx(fine)
    grid, own = fine_grid(scan.volume.grid, found), scan.volume.grid
    assert grid.spacing_mm == pytest.approx(fine)
    # a whole number of voxels: the field of view is that of the scan to within half of one
    for n, mm, n_own, own_mm in zip(
        grid.shape, grid.spacing_mm, own.shape, own.spacing_mm, strict=True
    ):
        assert abs(n * mm - n_own * own_mm) <= mm / 2.0 + 1e-9


def test_the_slice_axis_stays_the_thick_one_whatever_is_refined_within():
    found = describe_acquisition(scan_of((1.0, 1.0, 3.0)), Config(spacing_mm=(0.25, 0.25, 1.0)))
    assert (found.slice_axis, found.thickness_mm) == (2, pytest.approx(3.0))


def test_refined_within_the_slice_a_voxel_averages_over_itself():
    scan = scan_of((1.0, 1.0, 4.0), (6, 5, 4))
    acquisition = describe_acquisition(scan, Config(spacing_mm=(0.5, 0.25, 1.0)))
    fine = fine_grid(scan.volume.grid, acquisition)
    A = forward_operator(scan.volume.grid, fine, acquisition)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=fine.shape).astype(np.float32))
    expected = x.reshape(6, 2, 5, 4, 4, 4).mean(dim=(1, 3, 5))
    torch.testing.assert_close(A(x), expected)


def test_three_targets_that_refine_nothing_are_refused():
    with pytest.raises(InputError, match="not coarser than the wanted 1 x 1 x 5 mm"):
        described(spacing_mm=(1.0, 1.0, 5.0))
