from dataclasses import replace

import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import describe_acquisition
from inversesr.acquisition.simulation import simulate
from inversesr.config import Config, SimulateConfig
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.measurements.slices import Task
from inversesr.operators.inner_product import norm
from inversesr.operators.proximal import project
from inversesr.priors.installed import open_prior
from inversesr.solvers.diffusion.solver import (
    SOLVER,
    Diffusion,
    draw_samples,
    restore,
    what_slices_do_not_show,
)
from inversesr.solvers.setup import Setup
from inversesr.solvers.unet.slices import describe_slices
from inversesr.volume import Grid, Volume
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.whole_priors import write_whole_prior

QUICK = Diffusion(n_denoiser_steps=2, adapt_steps=0, n_mirrors=1)


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    folder = tmp_path_factory.mktemp("priors") / "conditional"
    return open_prior(write_whole_prior(folder, "ConditionalDenoiser"))


def problem(axis="S", spacing=(1.0, 1.0, 1.0), noise=0.0, shape=(32, 34, 36)):
    data = np.random.default_rng(0).uniform(20, 90, shape).astype(np.float32)
    truth = Volume(data, Grid(shape, np.diag([*spacing, 1.0])))
    thick = simulate(truth, SimulateConfig(axis=axis, noise=noise))
    acquisition = describe_acquisition(Scan.made_here(thick), Config())
    return Task(torch.from_numpy(thick.data), thick.grid, acquisition, 0.0)


def setup_of(prior, seed=0, consistency="exact", **changes):
    return Setup(SOLVER, replace(QUICK, **changes), prior, consistency, seed)


@pytest.mark.parametrize("axis", ["R", "A", "S"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.45, 0.45, 0.45)])
def test_every_sample_reproduces_the_scan_and_no_two_are_alike(prior, axis, spacing):
    task = problem(axis, spacing)
    samples = restore(task, setup_of(prior, n_samples=2)).samples
    for sample in samples:
        misfit = (task.A(sample) - task.y).abs().max()
        assert float(misfit) < 1e-4 * float(task.y.max())
    assert float((samples[0] - samples[1]).abs().mean()) > 0.1


def test_samples_of_a_noisy_scan_agree_with_it_to_its_noise(prior):
    task = replace(problem(noise=0.05), sigma=4.0)
    (sample,) = restore(task, setup_of(prior, consistency="noise", n_samples=1)).samples
    assert norm(task.A(sample) - task.y) <= 4.0 * task.y.numel() ** 0.5 * (1 + 1e-4)


def test_the_network_is_told_the_noise_of_the_scan(prior):
    task = problem()
    quiet, noisy = (restore(replace(task, sigma=s), setup_of(prior)).x for s in (0.0, 8.0))
    assert float((quiet - noisy).abs().max()) > 1e-3


def test_without_samples_there_is_the_mean_alone(prior):
    solution = restore(problem(), setup_of(prior))
    assert solution.samples is None
    assert solution.status == "posterior mean, one pass"


def test_samples_do_not_change_the_mean(prior):
    task = problem()
    alone, among = (restore(task, setup_of(prior, n_samples=n)).x for n in (0, 2))
    assert torch.equal(alone, among)


def test_steps_of_all_samples_are_reported_as_one_phase(prior):
    seen = []
    task, chosen = problem(), setup_of(prior, n_samples=3)
    chosen = replace(chosen, progress=lambda phase, n, of: seen.append((phase, n, of)))
    draw_samples(task, prior.unet(torch.device("cpu")), chosen)
    assert seen == [("samples", n, 6) for n in range(1, 7)]


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
    shape = torch.Size(-(-n // size) for n, size in zip(lengths, (*slices.group, 1), strict=True))
    unseen = what_slices_do_not_show(task.A, slices, shape)
    v = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    matrix = torch.from_numpy(task.A.matrices[slices.axis]).float()
    assert float((unseen(v) @ matrix.T).abs().max()) < 1e-5
    torch.testing.assert_close(unseen(unseen(v)), unseen(v), atol=1e-5, rtol=1e-5)
    assert float(unseen(v).norm()) > 0.5 * float(v.norm())


def test_a_prior_without_a_conditional_denoiser_is_refused():
    with pytest.raises(InputError, match="has no conditional denoiser; expected one"):
        restore(problem(), setup_of(open_prior("builtin")))
