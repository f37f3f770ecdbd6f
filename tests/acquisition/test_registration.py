import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from inversesr.acquisition.registration import motion_mm, register_rigid
from inversesr.errors import InputError
from inversesr.volume import Grid, Volume

# nothing about the phantom or its grids is symmetrical: a wrong sign cannot hide
BLOBS = [
    ((0.0, 0.0, 0.0), (24.0, 30.0, 20.0), 60.0),
    ((9.0, 8.0, 4.0), (7.0, 6.0, 5.0), 60.0),
    ((-10.0, -6.0, 6.0), (5.0, 9.0, 6.0), -40.0),
    ((4.0, -15.0, -8.0), (8.0, 5.0, 6.0), 70.0),
    ((-6.0, 13.0, -5.0), (6.0, 4.0, 8.0), 40.0),
]


def phantom(grid, fixed_world_from_world):
    """The same head on any grid, in a world of its own."""
    voxels = np.vstack([np.indices(grid.shape).reshape(3, -1), np.ones(np.prod(grid.shape))])
    world = (fixed_world_from_world @ grid.affine @ voxels)[:3]
    total = np.zeros(world.shape[1])
    for centre, radii, height in BLOBS:
        scaled = (world - np.array(centre)[:, None]) / np.array(radii)[:, None]
        # a soft edge of a few millimetres
        total += height / (1.0 + np.exp(8.0 * (np.linalg.norm(scaled, axis=0) - 1.0)))
    return Volume(total.reshape(grid.shape).astype(np.float32), grid)


def grid_of(shape, spacing_mm, flips, turn_degrees):
    turn = Rotation.from_rotvec(np.deg2rad(turn_degrees)).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn * np.array(spacing_mm) * np.array(flips)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2.0) + [1.0, -2.0, 1.5]
    return Grid(shape, affine)


def rigid(degrees, axis, shift_mm):
    pose = np.eye(4)
    direction = np.array(axis) / np.linalg.norm(axis)
    pose[:3, :3] = Rotation.from_rotvec(np.deg2rad(degrees) * direction).as_matrix()
    pose[:3, 3] = shift_mm
    return pose


RAS = grid_of((34, 40, 30), (2.0, 2.0, 2.0), (1, 1, 1), (0, 0, 0))
LPS = grid_of((34, 40, 20), (2.0, 2.0, 3.0), (-1, -1, 1), (0, 0, 0))
OBLIQUE = grid_of((36, 42, 22), (1.9, 1.9, 2.9), (1, -1, 1), (8, -12, 10))


@pytest.mark.parametrize("fixed", [RAS, OBLIQUE], ids=["RAS", "oblique"])
@pytest.mark.parametrize("moving", [LPS, OBLIQUE], ids=["LPS", "oblique"])
def test_a_known_motion_is_recovered(fixed, moving):
    # |shift| = 6 mm
    pose = rigid(4.0, (1.0, 2.0, 3.0), (4.0, -4.0, 2.0))
    still, moved = phantom(fixed, np.eye(4)), phantom(moving, pose)
    found = register_rigid(still, moved, None, np.eye(4), 0)
    points = np.array([[*centre, 1.0] for centre, _, _ in BLOBS]).T
    in_moving_world = np.linalg.inv(pose) @ points
    off = np.linalg.norm((found @ in_moving_world - points)[:3], axis=0)
    assert off.max() < 0.5
    np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(found[:3, :3]) == pytest.approx(1.0)


def test_scans_that_already_agree_stay_where_they_are():
    found = register_rigid(
        phantom(RAS, np.eye(4)), phantom(OBLIQUE, np.eye(4)), None, np.eye(4), 0
    )
    assert motion_mm(found, phantom(RAS, np.eye(4)).grid) < 0.5


def test_the_same_seed_gives_the_same_pose():
    still, moved = phantom(RAS, np.eye(4)), phantom(LPS, rigid(3.0, (0, 0, 1), (2.0, 1.0, 0.0)))
    first, again = (register_rigid(still, moved, None, np.eye(4), 7) for _ in range(2))
    np.testing.assert_allclose(first, again, atol=1e-6)


def test_what_lies_outside_the_mask_does_not_matter():
    pose = rigid(3.0, (0.0, 1.0, 1.0), (3.0, 0.0, -2.0))
    still, moved = phantom(RAS, np.eye(4)), phantom(RAS, pose)
    mask = np.asarray(gaussian_filter(still.data, 2.0) > 10.0, np.float32)
    # a bright bed that did not move with the head
    still.data[:, :4] += 150.0
    moved.data[:, :4] += 150.0
    mask[:, :6] = 0.0
    found = register_rigid(still, moved, mask, np.eye(4), 0)
    points = np.array([[*centre, 1.0] for centre, _, _ in BLOBS]).T
    off = np.linalg.norm((found @ np.linalg.inv(pose) @ points - points)[:3], axis=0)
    assert off.max() < 0.7


def test_a_start_at_the_answer_stays_there():
    pose = rigid(12.0, (1.0, -1.0, 2.0), (7.0, -6.0, 4.0))
    still, moved = phantom(OBLIQUE, np.eye(4)), phantom(LPS, pose)
    found = register_rigid(still, moved, None, pose, 0)
    points = np.array([[*centre, 1.0] for centre, _, _ in BLOBS]).T
    off = np.linalg.norm((found @ np.linalg.inv(pose) @ points - points)[:3], axis=0)
    assert off.max() < 0.8


def test_scans_that_share_no_place_are_refused():
    with pytest.raises(InputError, match="hardly overlap"):
        register_rigid(
            phantom(RAS, np.eye(4)), elsewhere(phantom(RAS, np.eye(4))), None, np.eye(4), 0
        )


def elsewhere(volume):
    affine = volume.grid.affine.copy()
    affine[0, 3] += 500.0
    return Volume(volume.data, Grid(volume.grid.shape, affine))


def test_a_shift_moves_every_corner_by_its_length():
    volume = phantom(OBLIQUE, np.eye(4))
    assert motion_mm(rigid(0.0, (0, 0, 1), (3.0, 4.0, 0.0)), volume.grid) == pytest.approx(5.0)
    assert motion_mm(np.eye(4), volume.grid) == 0.0


def test_a_rotation_moves_the_farthest_corner_by_its_chord():
    shape = (11, 21, 5)
    volume = Volume(np.zeros(shape, np.float32), Grid(shape, np.eye(4)))
    expected = 2.0 * np.hypot(10.0, 20.0) * np.sin(np.deg2rad(5.0) / 2.0)
    assert motion_mm(rigid(5.0, (0, 0, 1), (0, 0, 0)), volume.grid) == pytest.approx(expected)
