from dataclasses import replace

import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import describe_acquisition
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.measurements.slices import Task
from inversesr.operators.inner_product import norm
from inversesr.operators.proximal import project
from inversesr.priors.card import CARD_NAME, dump_card
from inversesr.priors.installed import open_prior
from inversesr.solvers.diffusion.solver import (
    SOLVER,
    Diffusion,
    draw_samples,
    restore,
    what_slices_do_not_show,
)
from inversesr.solvers.setup import Setup
from inversesr.solvers.unet import solver as unet
from inversesr.solvers.unet.slices import describe_slices
from inversesr.volume import Grid, Volume
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.whole_priors import write_whole_prior

QUICK = Diffusion(n_denoiser_steps=2, adapt_steps=0, n_mirrors=1)


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    folder = tmp_path_factory.mktemp("priors") / "conditional"
    return open_prior(write_whole_prior(folder))


def problem(axis="S", spacing=(1.0, 1.0, 1.0), noise=0.0, shape=(32, 34, 36), thin=None):
    data = np.random.default_rng(0).uniform(20, 90, shape).astype(np.float32)
    truth = Volume(data, Grid(shape, np.diag([*spacing, 1.0])))
    thick = simulate(truth, SimulateConfig(axis=axis, noise=noise))
    acquisition = describe_acquisition(Scan.made_here(thick), Config(spacing_mm=thin))
    return Task(torch.from_numpy(thick.data), thick.grid, acquisition, 0.0)


def along(axis, mm):
    """Voxel sizes of 1 mm but for one axis."""
    return tuple(mm if direction == axis else 1.0 for direction in "RAS")


def setup_of(prior, seed=0, consistency="exact", **changes):
    return Setup(SOLVER, replace(QUICK, **changes), prior, consistency, seed)


@pytest.mark.parametrize("axis", ["R", "A", "S"])
@pytest.mark.parametrize(
    ("spacing", "thin_mm", "n_across"), [(1.0, 1.0, 1), (0.45, 1.0, 1), (1.0, 0.45, 2)]
)
def test_every_sample_reproduces_the_scan_and_no_two_are_alike(
    prior, axis, spacing, thin_mm, n_across
):
    task = problem(axis, (spacing,) * 3, thin=along(axis, thin_mm))
    assert describe_slices(task.scan_grid, task.fine, task.acquisition).n_across == n_across
    samples = restore(task, setup_of(prior, n_samples=2)).samples
    for sample in samples:
        misfit = (task.A(sample) - task.y).abs().max()
        assert float(misfit) < 1e-4 * float(task.y.max())
    assert float((samples[0] - samples[1]).abs().mean()) > 0.1


def test_samples_of_a_noisy_scan_agree_with_it_to_its_noise(prior):
    task = replace(problem(noise=0.05), sigma=4.0)
    (sample,) = restore(task, setup_of(prior, consistency="noise", n_samples=1)).samples
    assert norm(task.A(sample) - task.y) <= 4.0 * task.y.numel() ** 0.5 * (1 + 1e-4)


def test_the_denoiser_is_told_the_noise_of_the_scan(prior):
    task, chosen = problem(), setup_of(prior, n_samples=1)
    quiet, noisy = (restore(replace(task, sigma=s), chosen).samples for s in (0.0, 8.0))
    assert float((quiet - noisy).abs().max()) > 1e-3


def test_without_samples_there_are_the_mean_of_the_unet_and_the_error_it_expects(prior):
    task = problem()
    solution = restore(task, setup_of(prior))
    by_unet = unet.restore(task, replace(setup_of(prior), solver=unet.SOLVER))
    assert torch.equal(solution.x, by_unet.x)
    assert torch.equal(solution.sd, by_unet.sd)
    assert solution.samples is None
    assert solution.status == "posterior mean, one pass"


def test_samples_scatter_about_the_mean_of_the_unet(prior):
    """Where the mean is another, every sample moves by what no slice shows of the change."""
    task, net = problem(), prior.conditional(torch.device("cpu"))
    change = torch.randn(task.x0.shape, generator=torch.Generator().manual_seed(1))
    before, after = (
        draw_samples(task, net, mean, setup_of(prior, n_samples=2))
        for mean in (task.x0, task.x0 + change)
    )
    unseen = project(task.A, change, torch.zeros_like(task.y)).x
    torch.testing.assert_close(after - before, unseen.expand(2, -1, -1, -1), atol=1e-3, rtol=1e-3)


def test_samples_do_not_change_the_mean(prior):
    task = problem()
    alone, among = (restore(task, setup_of(prior, n_samples=n)).x for n in (0, 2))
    assert torch.equal(alone, among)


def test_every_sample_is_reported(prior):
    seen = []
    task, chosen = problem(), setup_of(prior, n_samples=3)
    chosen = replace(chosen, progress=lambda phase, n, of: seen.append((phase, n, of)))
    draw_samples(task, prior.conditional(torch.device("cpu")), task.x0, chosen)
    assert seen == [(SOLVER.name, n, 3) for n in range(4)]


def test_what_is_protected_is_the_interpolation(prior):
    task = problem()
    protect = torch.zeros(task.y.shape)
    protect[:6] = 1.0
    found = restore(replace(task, protect=protect), setup_of(prior))
    expected = project(task.A, task.x0, task.y).x
    torch.testing.assert_close(found.x[:5], expected[:5], rtol=1e-4, atol=1e-3)
    assert float((found.x[8:] - expected[8:]).abs().max()) > 0.1


@pytest.mark.parametrize("axis", ["R", "A", "S"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.45, 0.45, 0.45), (0.45, 1.0, 1.0)])
def test_what_slices_do_not_show_is_not_in_any_slice(axis, spacing):
    task = problem(axis, spacing)
    slices = describe_slices(task.scan_grid, task.fine, task.acquisition)
    lengths = task.x0.movedim(slices.axis, -1).shape
    shape = torch.Size(-(-n // size) for n, size in zip(lengths, slices.groups, strict=True))
    unseen = what_slices_do_not_show(task.A, slices, shape)
    v = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    matrix = torch.from_numpy(task.A.matrices[slices.axis]).float()
    assert float((unseen(v) @ matrix.T).abs().max()) < 1e-5
    torch.testing.assert_close(unseen(unseen(v)), unseen(v), atol=1e-5, rtol=1e-5)
    assert float(unseen(v).norm()) > 0.5 * float(v.norm())


@pytest.mark.parametrize("axis", ["R", "A", "S"])
def test_nor_of_thin_slices_that_go_in_groups(axis):
    task = problem(axis, thin=along(axis, 0.45))
    slices = describe_slices(task.scan_grid, task.fine, task.acquisition)
    lengths = task.x0.movedim(slices.axis, -1).shape
    shape = torch.Size(-(-n // size) for n, size in zip(lengths, slices.groups, strict=True))
    v = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = what_slices_do_not_show(task.A, slices, shape)(v)
    thin = found.repeat_interleave(2, dim=2)[..., : lengths[2]].movedim(-1, slices.axis)
    assert float(task.A(thin).abs().max()) < 1e-4
    assert float(found.norm()) > 0.5 * float(v.norm())


def test_a_prior_without_a_conditional_denoiser_draws_no_samples(tmp_path):
    whole = open_prior(write_whole_prior(tmp_path / "prior"))
    networks = {n: c for n, c in whole.card.networks.items() if n != "conditional"}
    (whole.folder / CARD_NAME).write_text(dump_card(replace(whole.card, networks=networks)))
    without = open_prior(whole.folder)
    assert restore(problem(), setup_of(without)).samples is None
    with pytest.raises(InputError, match="has no conditional denoiser, which draws samples"):
        restore(problem(), setup_of(without, n_samples=1))


def test_samples_of_a_stack_that_lacks_slices_are_refused(prior):
    task = problem()
    task = replace(task, acquisition=replace(task.acquisition, missing=(2,)))
    with pytest.raises(InputError, match="leave out --samples, or give --solver split-gibbs"):
        restore(task, setup_of(prior, n_samples=1))


class Known:
    """A denoiser that knows the residual: a share of the image that it is given."""

    def __init__(self):
        self.noise = []

    def denoise(self, start, _geometry, _residual, _level, noise):
        self.noise.append(float(noise))
        return 0.3 * start


def test_samples_of_a_denoiser_that_knows_the_residual_are_the_posterior_mean(prior):
    task = problem()
    mean = project(task.A, task.x0, task.y).x + 1.0
    samples = draw_samples(task, Known(), mean, setup_of(prior, n_samples=1))
    torch.testing.assert_close(samples[0], project(task.A, mean, task.y).x, rtol=1e-3, atol=0.05)


def test_voxels_that_are_averaged_have_less_noise(prior):
    task = replace(problem(spacing=(0.45, 0.45, 0.45)), sigma=1.0)
    group = describe_slices(task.scan_grid, task.fine, task.acquisition).group
    assert group == (2, 2)
    averaged, plain = Known(), Known()
    draw_samples(task, averaged, task.x0, setup_of(prior, n_samples=1))
    one = replace(problem(), sigma=1.0)
    draw_samples(one, plain, one.x0, setup_of(prior, n_samples=1))
    assert averaged.noise[0] < 0.6 * plain.noise[0]
