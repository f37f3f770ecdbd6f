"""The pose of a volume is found from its slices."""

import numpy as np
import torch

from inversesr.measurements.motion import differentiated, find_pose, parameters, sight, track
from inversesr.measurements.poses import moved_by
from inversesr.operators.resample import RigidResample
from inversesr.operators.separable import SeparableOperator
from inversesr.volume import Grid
from tests.support.operators import averaging

GRID = Grid((24, 22, 24), np.diag([2.0, 2.0, 2.0, 1.0]))


def blobs():
    """A smooth head with bumps."""
    rng = np.random.default_rng(0)
    i, j, k = np.meshgrid(*map(np.arange, GRID.shape), indexing="ij")
    x = np.zeros(GRID.shape)
    for _ in range(25):
        a, b, c = rng.uniform(6, 17, 3)
        x += rng.uniform(20, 60) * np.exp(-((i - a) ** 2 + (j - b) ** 2 + (k - c) ** 2) / 6.0)
    return torch.from_numpy(x).float()


def test_a_pose_is_found_whatever_gain_and_offset_the_volume_has():
    x = blobs()
    slices = SeparableOperator(GRID.shape, (None, None, averaging(8, 3.0, 3.0)))
    head, seen = differentiated(x, GRID), sight(slices, GRID, 2)
    motion = np.array([1.2, -0.8, 0.5, 0.9, -0.4, 1.1])
    pose = moved_by(np.eye(4), motion, head.centre_mm)
    y = 1.3 * slices(RigidResample(GRID, GRID, pose)(x)) + 4.0
    found = find_pose(head, seen, y, np.eye(4))
    assert np.abs(parameters(found, head.centre_mm) - motion).max() < 0.05


def test_every_second_column_is_compared_unless_voxels_within_the_slice_are_averages():
    slices = SeparableOperator((5, 4, 6), (None, None, averaging(2, 3.0, 3.0)))
    grid = Grid((5, 4, 6), np.eye(4))
    few = sight(slices, grid, 2)
    assert few.own.shape == (3, 2, 6)
    assert few.slices(torch.ones(3, 2, 6)).shape == torch.ones(5, 4, 2)[few.columns].shape
    averaged = SeparableOperator((4, 4, 6), (averaging(2, 2.0, 2.0), None, None))
    assert sight(averaged, Grid((4, 4, 6), np.eye(4)), 2).own.shape == (4, 4, 6)


def test_the_head_is_followed_from_neighbour_to_neighbour():
    asked = []

    def find(t, pose):
        asked.append((t, int(pose[0, 3])))
        moved = np.eye(4)
        moved[0, 3] = t
        return moved

    start = np.eye(4)
    start[0, 3] = 2
    poses = track(find, 5, 2, start)
    assert [int(p[0, 3]) for p in poses] == [0, 1, 2, 3, 4]
    assert asked == [(3, 2), (4, 3), (1, 2), (0, 1)]
