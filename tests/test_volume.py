import nibabel
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from inversesr.volume import Grid, Volume


def affine_of(seed, *, is_oblique=True):
    """Random axis order, handedness, spacing, shift and, if oblique, tilt."""
    rng = np.random.default_rng(seed)
    turn = Rotation.random(random_state=seed).as_matrix() if is_oblique else np.eye(3)
    permutation = np.eye(3)[rng.permutation(3)] * rng.choice([-1.0, 1.0], 3)
    affine = np.eye(4)
    affine[:3, :3] = turn @ permutation * rng.uniform(0.3, 6.0, 3)
    affine[:3, 3] = rng.uniform(-200.0, 200.0, 3)
    return affine


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_axis_codes_are_those_of_nibabel(seed, is_oblique):
    grid = Grid((4, 5, 6), affine_of(seed, is_oblique=is_oblique))
    # where two axes lean towards the same anatomical one, the order of choosing decides
    assume(len(set(np.abs(grid.directions).argmax(axis=0))) == 3)
    assert grid.axcodes == "".join(nibabel.aff2axcodes(grid.affine))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_axis_gets_a_letter_of_its_own(seed):
    codes = Grid((4, 5, 6), affine_of(seed)).axcodes
    pairs = ["LR", "PA", "IS"]
    assert sorted(next(i for i, pair in enumerate(pairs) if c in pair) for c in codes) == [0, 1, 2]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_axes_in_their_order_and_turned_by_their_flips_run_to_the_right_front_and_top(
    seed, is_oblique
):
    grid = Grid((4, 5, 6), affine_of(seed, is_oblique=is_oblique))
    affine = grid.affine[:, [*grid.ras_order, 3]]
    affine[:, list(grid.ras_flips)] *= -1.0
    assert Grid((4, 5, 6), affine).axcodes == "RAS"


def test_a_part_of_an_image_lies_where_it_lay():
    grid = Grid((6, 7, 8), affine_of(3))
    image = Volume(np.arange(6.0 * 7 * 8, dtype=np.float32).reshape(6, 7, 8), grid)
    part = image.cropped((slice(2, 5), slice(None), slice(1, 8)))
    assert part.grid.shape == (3, 7, 7)
    for voxel in ((0, 0, 0), (2, 6, 6), (1, 3, 2)):
        there = tuple(np.add(voxel, (2, 0, 1)))
        assert part.data[voxel] == image.data[there]
        np.testing.assert_allclose(
            part.grid.affine @ [*voxel, 1.0], grid.affine @ [*there, 1.0], atol=1e-9
        )


def test_axis_codes_of_the_usual_orientations():
    assert Grid((2, 2, 2), np.eye(4)).axcodes == "RAS"
    assert Grid((2, 2, 2), np.diag([-1.0, -1.0, 1.0, 1.0])).axcodes == "LPS"


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_spacing_and_directions_make_up_the_affine(seed):
    affine = affine_of(seed)
    grid = Grid((4, 5, 6), affine)
    assert min(grid.spacing_mm) > 0.0
    np.testing.assert_allclose(grid.directions * np.array(grid.spacing_mm), affine[:3, :3])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.tuples(*[st.integers(1, 40)] * 3))
def test_a_respaced_grid_keeps_its_centre_and_its_axes(seed, shape):
    grid = Grid((7, 4, 11), affine_of(seed))
    spacing = (0.5, 1.0, 2.5)
    other = grid.respaced(shape, spacing)
    assert other.shape == shape
    np.testing.assert_allclose(other.spacing_mm, spacing)
    np.testing.assert_allclose(other.directions, grid.directions, atol=1e-12)

    def centre(g):
        return g.affine @ np.append((np.array(g.shape) - 1) / 2.0, 1.0)

    np.testing.assert_allclose(centre(other), centre(grid), atol=1e-9)


def test_respacing_to_what_it_is_changes_nothing():
    grid = Grid((7, 4, 11), affine_of(5))
    assert grid.respaced(grid.shape, grid.spacing_mm).same_as(grid, tolerance_mm=1e-9)


def test_grids_are_the_same_when_no_corner_is_off_by_more_than_the_tolerance():
    grid = Grid((101, 4, 4), np.eye(4))
    stretched = np.diag([1.0 + 2e-6, 1.0, 1.0, 1.0])
    assert grid.same_as(Grid(grid.shape, stretched))
    assert not grid.same_as(Grid(grid.shape, stretched), tolerance_mm=1e-4)
    shifted = np.eye(4)
    shifted[1, 3] = 2e-3
    assert not grid.same_as(Grid(grid.shape, shifted))
    assert grid.same_as(Grid(grid.shape, shifted), tolerance_mm=3e-3)


def test_grids_of_other_shapes_are_not_the_same():
    assert not Grid((4, 4, 4), np.eye(4)).same_as(Grid((4, 4, 5), np.eye(4)))


def test_data_that_does_not_fit_its_grid_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        Volume(np.zeros((2, 3, 4), np.float32), Grid((2, 3, 5), np.eye(4)))


def test_other_data_leaves_the_original_alone():
    volume = Volume(np.zeros((2, 3, 4), np.float32), Grid((2, 3, 4), np.eye(4)))
    other = volume.with_data(np.ones((2, 3, 4)))
    assert other.grid is volume.grid
    assert other.data.dtype == np.float32
    assert volume.data.max() == 0.0


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_planes_are_as_far_apart_as_their_normal_says(seed):
    affine = affine_of(seed)
    affine[:3, 2] += np.random.default_rng(seed).uniform(-1, 1, 3)  # any shear
    grid = Grid((4, 5, 6), affine)
    assume(abs(np.linalg.det(grid.directions)) > 0.1)
    for axis in range(3):
        others = [affine[:3, other] for other in range(3) if other != axis]
        normal = np.cross(*others)
        normal /= np.linalg.norm(normal)
        expected = abs(normal @ affine[:3, axis])
        assert grid.plane_distance_mm[axis] == pytest.approx(expected, rel=1e-6)
        assert grid.plane_distance_mm[axis] <= grid.spacing_mm[axis] * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_planes_of_axes_at_right_angles_are_as_far_apart_as_voxels(seed):
    grid = Grid((4, 5, 6), affine_of(seed))
    assert grid.shear_degrees < 1e-4
    assert grid.plane_distance_mm == grid.spacing_mm


@pytest.mark.parametrize("degrees", [0.1, 5.0, 40.0])
def test_shear_is_the_angle_to_the_normal(degrees):
    affine = affine_of(1)
    sheared = np.eye(4)
    # along both other axes: neither angle between two axes is as large
    sheared[:2, 2] = np.tan(np.deg2rad(degrees)) * np.array([0.6, 0.8])
    turn = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    affine[:3, :3] = turn @ sheared[:3, :3]
    assert Grid((4, 5, 6), affine).shear_degrees == pytest.approx(degrees)


def test_the_farthest_corner_tells_how_far_two_places_are_apart():
    affine = affine_of(2)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_rotvec([0.02, 0.05, -0.03]).as_matrix()
    first, second = Grid((40, 50, 6), affine), Grid((40, 50, 6), turn @ affine)
    apart = [
        np.linalg.norm((first.affine - second.affine) @ [i, j, k, 1])
        for i in (0, 39)
        for j in (0, 49)
        for k in (0, 5)
    ]
    assert first.farthest_mm(second) == pytest.approx(max(apart))
