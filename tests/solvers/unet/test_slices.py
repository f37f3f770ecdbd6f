import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import Acquisition, fine_grid
from inversesr.solvers.unet.slices import average, describe_slices, spread
from inversesr.volume import Grid


def slices_of(spacing, axis=2):
    shape = [12, 12, 12]
    shape[axis] = 6
    grid = Grid(tuple(shape), np.diag([*spacing, 1.0]))
    fine = [min(s, 1.0) for s in spacing]
    acquisition = Acquisition(axis, spacing[axis], spacing[axis], "rect", tuple(fine))
    return describe_slices(grid, fine_grid(grid, acquisition), acquisition)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_lie_centred_in_the_fine_voxels_that_they_average(axis):
    spacing = [1.0, 1.0, 1.0]
    spacing[axis] = 4.0
    found = slices_of(spacing, axis)
    assert (found.axis, found.group) == (axis, (1, 1))
    assert found.geometry.thickness == pytest.approx(4.0)
    assert found.geometry.first_centre == pytest.approx(1.5)
    assert found.sharp == (True, True)


def test_fine_voxels_within_the_slice_go_in_groups():
    assert slices_of([0.5, 0.55, 4.0]).group == (2, 2)
    assert slices_of([0.33, 0.9, 4.0]).group == (3, 1)


def test_averages_that_are_spread_again_keep_a_constant_and_the_shape():
    slices = slices_of([0.5, 0.5, 4.0])
    x = torch.full((7, 9, 5), 3.0)
    coarse = average(x, slices.group)
    assert coarse.shape == (4, 5, 5)
    torch.testing.assert_close(spread(coarse, slices, x.shape), x)
