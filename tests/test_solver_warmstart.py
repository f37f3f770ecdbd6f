import numpy as np
import pytest
import torch

from inversesr.acquisition import describe_acquisition
from inversesr.config import Config, SimulateConfig
from inversesr.nifti import Scan
from inversesr.priors.warmstart import WarmStartNet, WarmStartShape
from inversesr.simulation import simulate
from inversesr.solvers.task import Task
from inversesr.solvers.warmstart import Effort, describe_slices, warmstart
from inversesr.volume import Grid, Volume


def net(change):
    """Adds the same change to the average band of every voxel."""
    small = WarmStartNet(WarmStartShape(widths=(4, 4, 4), n_blocks=(1, 1, 1), n_embedding=4))
    small.head.bias.data[0] = change
    return small


def problem(spacing=(1.0, 1.0, 1.0), axis="S", shape=(30, 31, 32)):
    data = np.random.default_rng(0).uniform(20, 90, shape).astype(np.float32)
    truth = Volume(data, Grid(shape, np.diag([*spacing, 1.0])))
    thick = simulate(truth, SimulateConfig(axis=axis))
    acquisition = describe_acquisition(Scan.made_here(thick), Config())
    return Task(torch.from_numpy(thick.data), thick.grid, acquisition, 0.0)


def slices(task):
    return describe_slices(task.scan_grid, task.fine, task.acquisition)


def solve(spacing, axis, change):
    task = problem(spacing, axis)
    solution = warmstart(task, net(change), Effort(), lambda _n, _of: None)
    return solution.x, task.A.project(task.x0, task.y)


@pytest.mark.parametrize("axis", ["R", "A", "S"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.45, 0.45, 0.45), (0.8, 0.33, 1.0)])
def test_an_untrained_network_returns_the_locked_spline(spacing, axis):
    x, locked = solve(spacing, axis, 0.0)
    torch.testing.assert_close(x, locked, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("axis", ["R", "A", "S"])
def test_a_constant_change_arrives_everywhere_whatever_the_spacing(axis):
    change, locked = (
        solve((0.45, 0.45, 0.45), axis, 0.3)[0],
        solve((0.45, 0.45, 0.45), axis, 0.0)[1],
    )
    difference = change - locked
    assert float(difference.mean()) > 1.0
    torch.testing.assert_close(
        difference, difference.mean().expand_as(difference), rtol=0.05, atol=0.05
    )


@pytest.mark.parametrize(
    ("spacing", "group"),
    [((1.0, 1.0, 1.0), (1, 1)), ((0.9, 0.6, 1.0), (1, 1)), ((0.45, 0.3, 1.0), (2, 3))],
)
def test_fine_voxels_are_grouped_to_about_a_millimetre(spacing, group):
    assert slices(problem(spacing)).group == group


def test_slices_are_described_in_fine_voxels():
    found = slices(problem())
    assert found.axis == 2
    assert found.geometry.thickness == pytest.approx(4.0)
    # fine voxels 0 to 3 make the first slice
    assert found.geometry.first_centre == pytest.approx(1.5)


def test_an_axis_is_sharp_where_the_scan_is_as_fine_as_the_result():
    assert slices(problem()).sharp == (True, True)
    task = problem(spacing=(3.0, 1.0, 1.0), shape=(12, 40, 40))
    assert slices(task).sharp == (False, True)


def test_the_network_is_adapted_to_the_scan_where_that_is_possible():
    moments = []
    large = problem(shape=(33, 36, 40))
    effort = Effort(adapt_steps=2, n_mirrors=2)
    solution = warmstart(large, net(0.0), effort, lambda n, of: moments.append((n, of)))
    assert moments == [(1, 2), (2, 2)]
    assert solution.status.startswith("adapted")
    small = warmstart(problem(), net(0.0), effort, lambda n, of: moments.append((n, of)))
    assert len(moments) == 2
    assert small.status == "one pass"
