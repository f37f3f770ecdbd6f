from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from inversesr.acquisition.foreground import foreground
from inversesr.acquisition.geometry import describe_acquisition
from inversesr.acquisition.interpolated import Interpolated
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.io.nifti import Scan
from inversesr.measurements.slices import Task
from inversesr.operators.proximal import project
from inversesr.priors.card import read_card
from inversesr.priors.networks.error_net import ErrorNet, ErrorShape
from inversesr.priors.networks.unet import SuperResolutionShape, SuperResolutionUNet
from inversesr.priors.networks.unet_inference import white_level
from inversesr.priors.store import find_prior
from inversesr.protocols import Solution
from inversesr.solvers.unet.slices import describe_slices
from inversesr.solvers.unet.solver import Effort, keep_interpolation, unet
from inversesr.volume import Grid, Volume
from inversesr.workflows.restore import restore


def net(change):
    """Adds the same change to the average band of every voxel."""
    small = SuperResolutionUNet(
        SuperResolutionShape(widths=(4, 4, 4), n_blocks=(1, 1, 1), n_embedding=4)
    )
    small.head.bias.data[0] = change
    return small


def problem(spacing=(1.0, 1.0, 1.0), axis="S", shape=(30, 31, 32), thin=None):
    data = np.random.default_rng(0).uniform(20, 90, shape).astype(np.float32)
    truth = Volume(data, Grid(shape, np.diag([*spacing, 1.0])))
    thick = simulate(truth, SimulateConfig(axis=axis))
    acquisition = describe_acquisition(Scan.made_here(thick), Config(spacing_mm=thin))
    return Task(torch.from_numpy(thick.data), thick.grid, acquisition, 0.0)


def phantom(shape):
    """Nested ellipsoids of different brightness, the outermost one dark outside."""
    axes = np.meshgrid(*(np.linspace(-1.0, 1.0, n) for n in shape), indexing="ij")
    data = np.zeros(shape, np.float32)
    for size, brightness in ((0.9, 60.0), (0.7, 100.0), (0.45, 40.0), (0.2, 90.0)):
        radius = sum((x / (size * s)) ** 2 for x, s in zip(axes, (1.0, 0.8, 0.9), strict=True))
        data[radius < 1.0] = brightness
    return Volume(data, Grid(shape, np.eye(4)))


def slices(task):
    return describe_slices(task.scan_grid, task.fine, task.acquisition)


def solve(spacing, axis, change):
    task = problem(spacing, axis)
    solution = unet(task, net(change), Effort(), lambda _n, _of: None)
    return solution.x, project(task.A, task.x0, task.y).x


@pytest.mark.parametrize("axis", ["R", "A", "S"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.45, 0.45, 0.45), (0.8, 0.33, 1.0)])
def test_an_untrained_network_returns_the_consistent_spline(spacing, axis):
    x, consistent = solve(spacing, axis, 0.0)
    torch.testing.assert_close(x, consistent, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("axis", ["R", "A", "S"])
def test_a_constant_change_arrives_everywhere_whatever_the_spacing(axis):
    change, consistent = (
        solve((0.45, 0.45, 0.45), axis, 0.3)[0],
        solve((0.45, 0.45, 0.45), axis, 0.0)[1],
    )
    difference = change - consistent
    assert float(difference.mean()) > 1.0
    torch.testing.assert_close(
        difference, difference.mean().expand_as(difference), rtol=0.05, atol=0.05
    )


@pytest.mark.parametrize(("axis", "thin"), [("R", (0.45, 1, 1)), ("S", (1, 1, 0.25))])
def test_thin_slices_that_go_in_groups_keep_all_that_the_network_leaves(axis, thin):
    task = problem(axis=axis, thin=thin)
    assert slices(task).n_across == 2
    consistent = project(task.A, task.x0, task.y).x
    same, more = (
        unet(task, net(change), Effort(), lambda _n, _of: None).x for change in (0.0, 0.3)
    )
    torch.testing.assert_close(same, consistent, rtol=1e-4, atol=1e-3)
    difference = more - consistent
    assert float(difference.mean()) > 1.0
    torch.testing.assert_close(
        difference, difference.mean().expand_as(difference), rtol=0.05, atol=0.05
    )


@pytest.mark.parametrize("axis", ["R", "A", "S"])
@pytest.mark.parametrize(("spacing", "n_averaged"), [(1.0, 1), (0.5, 2)])
def test_the_deviation_is_that_of_errors_of_the_scale_that_the_network_states(
    spacing, n_averaged, axis
):
    task = problem((spacing,) * 3, axis, shape=(32, 32, 32))
    # untrained, it states the same scale everywhere: 2 % of what counts as white
    error_net = ErrorNet(ErrorShape(widths=(4, 4), n_blocks=(1, 1), n_embedding=4))
    found = unet(task, net(0.0), Effort(), lambda _n, _of: None, error_net).sd
    seen = project(task.A, task.x0, task.y).x.movedim(slices(task).axis, -1)
    size = (n_averaged, n_averaged, 1)
    white = float(white_level(torch.nn.functional.avg_pool3d(seen[None, None], size)))
    errors = np.random.default_rng(0).laplace(0.0, 0.02 * white, 1_000_000)
    assert found.shape == task.x0.shape
    np.testing.assert_allclose(found.numpy(), errors.std(), rtol=0.01)


def test_the_shipped_judge_knows_where_the_shipped_unet_is_wrong():
    """On a phantom of ellipsoids, which neither has seen."""
    truth = phantom((64, 64, 64))
    thick = simulate(truth, SimulateConfig(thickness_mm=4.0))
    settings = ("solver.adapt_steps=0", "solver.n_mirrors=1")
    result = restore([Scan.made_here(thick)], Config("unet", settings=settings))
    error = np.abs(result.volume.data - truth.data)
    sd = result.sd.data
    assert result.facts["error_factor"] > 0.0
    assert spearmanr(error.ravel(), sd.ravel()).statistic > 0.5
    certain, uncertain = (error[m].mean() for m in (sd < np.median(sd), sd > np.quantile(sd, 0.9)))
    assert uncertain > 10.0 * certain
    without = replace(result.config, settings=(*settings, "solver.expected_error=false"))
    plain = restore([Scan.made_here(thick)], without)
    assert plain.sd is None
    np.testing.assert_array_equal(plain.volume.data, result.volume.data)


def test_samples_of_the_shipped_prior_are_spread_as_its_judge_expects():
    truth = phantom((32, 32, 32))
    thick = simulate(truth, SimulateConfig(thickness_mm=4.0))
    fast = ("solver.adapt_steps=0", "solver.n_levels=1", "solver.n_denoiser_steps=1")
    config = Config("split-gibbs", samples=3, settings=fast)
    result = restore([Scan.made_here(thick)], config)
    judged = restore([Scan.made_here(thick)], Config("unet", settings=fast[:1]))
    inside = foreground(result.volume.data)
    expected = np.median(judged.sd.data[inside]) / judged.facts["error_factor"]
    share = np.median(result.sd.data[inside]) / expected
    # their mean is not quite the image of the U-Net
    assert share == pytest.approx(read_card(find_prior("builtin")).sd_over_error, rel=0.3)


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


def test_interpolated_slices_are_described_as_they_were_measured():
    task = problem()
    measured = Interpolated(2, 5.0, 1.0, 9, "linear", is_exact=True)
    acquisition = replace(
        task.acquisition, slice_spacing_mm=5.0, thickness_mm=4.5, interpolated=measured
    )
    found = slices(replace(task, acquisition=acquisition)).geometry
    assert (found.thickness, found.spacing) == (pytest.approx(4.5), pytest.approx(5.0))
    # one millimetre after the first stored slice, whose centre lies at 1.5
    assert found.first_centre == pytest.approx(2.5)


def test_an_axis_is_sharp_where_the_scan_is_as_fine_as_the_result():
    assert slices(problem()).sharp == (True, True)
    task = problem(spacing=(3.0, 1.0, 1.0), shape=(12, 40, 40))
    assert slices(task).sharp == (False, True)


def test_the_network_is_adapted_to_the_scan_where_that_is_possible():
    moments = []
    large = problem(shape=(33, 36, 40))
    effort = Effort(adapt_steps=2, n_mirrors=2)
    solution = unet(large, net(0.0), effort, lambda n, of: moments.append((n, of)))
    assert moments == [(1, 2), (2, 2)]
    assert solution.status.startswith("adapted")
    small = unet(problem(), net(0.0), effort, lambda n, of: moments.append((n, of)))
    assert len(moments) == 2
    assert small.status == "one pass"


@pytest.mark.parametrize("axis", ["R", "S"])
def test_what_is_protected_stays_the_interpolated_scan_and_the_rest_is_the_networks(axis):
    task = problem(axis=axis)
    mask = torch.zeros_like(task.y)
    mask[:, :20] = 1.0
    task = replace(task, protect=mask)
    made = Solution(torch.zeros(task.fine.shape), "one pass", 1)
    found = keep_interpolation(task, made)
    consistent = project(task.A, task.x0, task.y).x
    torch.testing.assert_close(found.x, task.fine_protect * consistent)
    torch.testing.assert_close(found.x[:, :15], consistent[:, :15], rtol=1e-3, atol=0.1)
    assert float(found.x[:, 25:].abs().max()) < 0.1
    assert found.unprotected is made.x
    torch.testing.assert_close(found.prior_mask, 1.0 - task.fine_protect)
    assert keep_interpolation(replace(task, protect=None), made) is made
