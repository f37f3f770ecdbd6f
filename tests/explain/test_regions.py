import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import describe_acquisition
from inversesr.config import Config
from inversesr.explain.regions import (
    BETWEEN,
    BRAIN,
    CENTRES,
    OUTSIDE,
    RIM,
    WHOLE,
    depth_mm,
    label_regions,
    near_centres,
    regions_of,
)
from inversesr.io.nifti import Scan
from inversesr.measurements.slices import Task
from inversesr.volume import Grid, Volume


def task_of(shape, spacing):
    scan = Scan.made_here(
        Volume(np.ones(shape, np.float32), Grid(shape, np.diag([*spacing, 1.0])))
    )
    y = torch.from_numpy(scan.volume.data)
    return Task(y, scan.volume.grid, describe_acquisition(scan, Config()), 0.0)


def ball(shape, radius):
    places = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in shape], indexing="ij")
    return sum(np.square(p) for p in places) < radius**2


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_of_the_thin_planes_lie_at_the_centres_of_touching_slices(axis):
    shape, spacing = [16, 16, 16], [1.0, 1.0, 1.0]
    shape[axis], spacing[axis] = 5, 4.0
    found = near_centres(task_of(tuple(shape), spacing))
    assert found.shape[axis] == found.size == 20
    np.testing.assert_array_equal(found.ravel(), np.tile([False, True, True, False], 5))


def test_centres_and_what_lies_between_make_up_the_brain():
    task = task_of((20, 20, 5), (1.0, 1.0, 4.0))
    brain = ball(task.fine.shape, 8)
    found = regions_of(task, brain, {"mine": brain})
    np.testing.assert_array_equal(found[CENTRES] | found[BETWEEN], brain)
    assert not (found[CENTRES] & found[BETWEEN]).any()
    np.testing.assert_array_equal(found[OUTSIDE], ~found[BRAIN])
    assert found[WHOLE].all()
    assert set(found) == {WHOLE, BRAIN, RIM, OUTSIDE, CENTRES, BETWEEN, "mine"}
    assert not found[RIM][10, 10, 10]
    assert found[RIM][17, 10, 10]


def test_regions_without_a_voxel_are_left_out():
    task = task_of((20, 20, 5), (1.0, 1.0, 4.0))
    assert OUTSIDE not in regions_of(task, np.ones(task.fine.shape, dtype=bool), {})


def test_depth_counts_millimetres_from_the_edge_of_the_brain():
    grid = Grid((9, 9, 9), np.diag([2.0, 2.0, 2.0, 1.0]))
    depth = depth_mm(np.ones(grid.shape, dtype=bool), grid)
    assert depth[0, 4, 4] == 2.0
    assert depth[4, 4, 4] == 10.0


def test_every_label_but_the_background_is_a_region():
    labels = np.zeros((4, 4, 4), np.int32)
    labels[0], labels[1] = 3, 42
    found = label_regions(labels)
    assert list(found) == ["label 3", "label 42"]
    assert found["label 42"].sum() == 16
