from dataclasses import replace

import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import describe_acquisition
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.io.nifti import Scan
from inversesr.measurements.slices import Task
from inversesr.priors.installed import open_prior
from inversesr.priors.loading import assemble_prior
from inversesr.solvers.latent import fixed_prior
from inversesr.solvers.latent.pose import PriorRefused
from inversesr.solvers.latent.preparation import (
    known_mean,
    load_for_task,
    mean_image,
    prepare,
)
from inversesr.volume import Grid, Volume
from tests.support.problems import (
    free_card,
    generator,
    one_thread,  # noqa: F401  (a fixture)
    random_tensors,
    tiny_card,
    tiny_prior,
    write_prior,
)


def task_of(data, axis="A", sigma=2.0):
    thin = Volume(data, Grid(data.shape, np.eye(4)))
    thick = simulate(thin, SimulateConfig(axis=axis))
    acquisition = describe_acquisition(Scan.made_here(thick), Config())
    return Task(torch.from_numpy(thick.data), thick.grid, acquisition, sigma)


@pytest.fixture
def task():
    return task_of(np.random.default_rng(0).uniform(20, 220, (18, 20, 16)).astype(np.float32))


@pytest.fixture
def free():
    return assemble_prior(free_card(), random_tensors(free_card()))


def test_a_free_prior_covers_the_scan_with_the_slice_axis_last(task, free):
    problem, prior = prepare(task, free, None, 0)
    assert problem.slice_axis == 1
    assert prior.grid.shape == (32, 16, 32)
    seen = problem.V(problem.s)
    assert torch.allclose(seen[:18, :16, :20], problem.s.movedim(1, -1), atol=1e-6)
    assert torch.equal(problem.m, torch.ones(18, 20, 16))


def test_scan_and_noise_are_in_the_intensities_of_the_prior(task, free):
    problem, _ = prepare(task, free, task.x0, 0)
    assert float(problem.y.min()) == pytest.approx(0.0, abs=1e-6)
    assert float(problem.y.max()) == pytest.approx(1.0, abs=1e-6)
    width = float(task.y.max() - task.y.min())
    assert problem.sigma == pytest.approx(2.0 / width)
    assert torch.allclose(problem.scale.from_unit(problem.y), task.y, atol=1e-3)
    assert torch.allclose(problem.start, problem.s, atol=1e-5)


def test_thicker_slices_average_over_more(task):
    same, thick = task.with_thickness(1.0).A, task.with_thickness(1.5).A
    x = task.x0
    assert torch.allclose(same(x), task.A(x))
    reached = [(operator.matrices[1] > 0).sum(axis=1).mean() for operator in (same, thick)]
    assert reached[1] > 1.3 * reached[0]


def test_the_prior_is_loaded_with_the_gradients_chosen(tmp_path, task):
    card = free_card()
    folder = write_prior(tmp_path / "small", card, random_tensors(card))
    for backend in ("lean", "stock"):
        prior = load_for_task(open_prior(folder), task, backend)
        assert prior.gradients == backend


@pytest.fixture
def no_deepbet(monkeypatch):
    """Heads of a few voxels hold no brain: pose and intensities rest on the whole of them."""
    monkeypatch.setattr(fixed_prior, "has_deepbet", lambda: False)


@pytest.mark.usefixtures("no_deepbet")
def test_a_fixed_prior_refuses_what_does_not_look_like_its_mean_image(task):
    fixed = assemble_prior(tiny_card(), random_tensors(tiny_card()))
    assert isinstance(prepare(task, fixed, None, 0), PriorRefused)


@pytest.mark.usefixtures("no_deepbet")
def test_a_fixed_prior_is_placed_on_a_scan_of_its_mean_image():
    prior = tiny_prior()
    mean = mean_image(prior, torch.zeros(1), generator(0)).numpy()
    assert mean.shape == (16, 32, 16)

    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in mean.shape], indexing="ij")
    head = np.exp(-4.0 * (x**2 + y**2 + z**2)) + 0.5 * np.exp(
        -20.0 * ((x - 0.3) ** 2 + (y + 0.4) ** 2 + (z - 0.1) ** 2)
    )
    known = replace(prior.inner)
    vars(known)["decode"] = lambda _z: torch.from_numpy(head.astype(np.float32))
    thin = Volume(head.astype(np.float32), known.grid)
    thick = simulate(thin, SimulateConfig(axis="A", thickness_mm=2.0))
    acquisition = describe_acquisition(Scan.made_here(thick), Config())
    task = Task(torch.from_numpy(thick.data), thick.grid, acquisition, 0.01)
    prepared = prepare(task, known, None, 0)
    assert not isinstance(prepared, PriorRefused)
    problem, _ = prepared
    back = problem.W(torch.from_numpy(head.astype(np.float32)))
    inside = problem.m > 0.99
    truth = task.x0[inside]
    assert int(inside.sum()) > 100
    assert float((back[inside] - truth).abs().max()) < 0.1
    assert any("deepbet is not installed" in note for note in problem.notes)


def test_the_mean_image_of_an_installed_prior_is_made_in_the_first_run_only(
    tmp_path, monkeypatch, task
):
    monkeypatch.setenv("INVERSESR_HOME", str(tmp_path / "home"))
    card = tiny_card()
    folder = write_prior(tmp_path / "small", card, random_tensors(card))
    prior = load_for_task(open_prior(folder), task, "lean")
    first = known_mean(prior, task.y)
    vars(prior)["decode"] = None  # would fail
    again = known_mean(prior, task.y)
    assert np.array_equal(first.data, again.data)
    assert first.grid.same_as(prior.grid)
