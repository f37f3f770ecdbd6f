import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import Acquisition, fine_grid, forward_operator
from inversesr.solvers.unet.slices import average, describe_slices, spread
from inversesr.volume import Grid


def slices_of(spacing, axis=2, thin=1.0):
    shape = [12, 12, 12]
    shape[axis] = 6
    grid = Grid(tuple(shape), np.diag([*spacing, 1.0]))
    fine = [min(s, 1.0) for s in spacing]
    fine[axis] = thin
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
    coarse = average(x, slices.groups)
    assert coarse.shape == (4, 5, 5)
    torch.testing.assert_close(spread(coarse, slices, x.shape), x)


@pytest.mark.parametrize(
    ("thick", "thin", "n_across"),
    [
        (5.0, 1.0, 1),
        (12.0, 1.0, 1),
        (3.0, 2.0 / 3.0, 1),
        (8.0, 2.0 / 3.0, 1),
        (3.0, 0.5, 1),
        (5.0, 0.5, 2),
        (5.0, 0.4, 2),
        (4.0, 0.5, 1),
        (5.0, 0.25, 3),
        (5.0, 0.1, 7),
    ],
)
def test_many_thin_slices_go_in_groups_of_at_most_about_a_millimetre(thick, thin, n_across):
    found = slices_of([1.0, 1.0, thick], thin=thin)
    assert found.n_across == n_across
    assert found.groups == (1, 1, n_across)
    assert found.geometry.thickness == pytest.approx(thick / thin / n_across)


def test_missing_slices_leave_thin_ones_alone():
    grid = Grid((12, 12, 6), np.diag([1.0, 1.0, 5.0, 1.0]))
    acquisition = Acquisition(2, 5.0, 5.0, "rect", (1.0, 1.0, 0.5), missing=(2,))
    assert describe_slices(grid, fine_grid(grid, acquisition), acquisition).n_across == 1


@pytest.mark.parametrize(("thick", "thin"), [(5.0, 0.5), (6.0, 0.25), (5.2, 0.4)])
def test_the_matrix_of_grouped_thin_slices_is_that_of_their_averages(thick, thin):
    grid = Grid((4, 5, 6), np.diag([1.0, 1.0, thick, 1.0]))
    acquisition = Acquisition(2, thick, thick, "rect", (1.0, 1.0, thin))
    fine = fine_grid(grid, acquisition)
    slices = describe_slices(grid, fine, acquisition)
    A = forward_operator(grid, fine, acquisition)
    n = -(-fine.shape[2] // slices.n_across)
    coarse = torch.randn((4, 5, n), generator=torch.Generator().manual_seed(0))
    thin_ones = coarse.repeat_interleave(slices.n_across, dim=2)[..., : fine.shape[2]]
    matrix = torch.from_numpy(slices.matrix(A)).float()
    torch.testing.assert_close(coarse @ matrix.T, A(thin_ones), atol=1e-5, rtol=1e-5)
    # and the network is told where these slices lie: their centres of gravity
    centres = matrix @ torch.arange(float(n))
    inner = slice(1, -1)
    told = slices.geometry.first_centre + slices.geometry.spacing * torch.arange(len(centres))
    torch.testing.assert_close(centres[inner], told[inner].float(), atol=0.05, rtol=0.0)


def test_averages_across_the_slices_are_spread_again_to_the_same_shape():
    slices = slices_of([1.0, 1.0, 5.0], thin=0.5)
    x = torch.full((7, 9, 15), 3.0)
    coarse = average(x, slices.groups)
    assert coarse.shape == (7, 9, 8)
    torch.testing.assert_close(spread(coarse, slices, x.shape), x)
