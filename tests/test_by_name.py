import numpy as np
import pytest
import torch

from inversesr.acquisition import describe_acquisition
from inversesr.config import SOLVER_NAMES, Config, SimulateConfig
from inversesr.errors import InputError
from inversesr.nifti import Scan
from inversesr.priors.bundle import (
    FileCard,
    GridCard,
    LatentCard,
    NetworkCard,
    PriorCard,
    dump_card,
)
from inversesr.priors.warmstart import WarmStartNet, WarmStartShape
from inversesr.simulation import simulate
from inversesr.solvers.by_name import SOLVERS, Task, choose_solver, solve
from inversesr.volume import Grid, Volume
from inversesr.weights import digest, save_tensors

SHAPE = {"widths": [4, 4, 4], "n_blocks": [1, 1, 1], "n_embedding": 4}


def silent(_phase, _done, _total):
    """Say nothing."""


def write_prior(folder, networks):
    folder.mkdir()
    files = {}
    for part in networks.values():
        save_tensors(folder / part.file, WarmStartNet(WarmStartShape(**SHAPE)).state_dict())
        path = folder / part.file
        files[part.file] = FileCard(path.stat().st_size, digest(path))
    card = PriorCard(
        "small", "1", "none", "none", "tests", "untrained", "any", "present",
        GridCard("free", (1.0, 1.0, 1.0), multiple=8), LatentCard(8, 4),
        networks, files=files,
    )  # fmt: skip
    (folder / "prior.json").write_text(dump_card(card))
    return folder


@pytest.fixture
def prior(tmp_path):
    part = NetworkCard("WarmStartNet", SHAPE, "warmstart.safetensors")
    return write_prior(tmp_path / "small", {"warmstart": part})


@pytest.fixture
def task():
    data = np.random.default_rng(0).uniform(20, 90, (16, 18, 20)).astype(np.float32)
    thick = simulate(Volume(data, Grid((16, 18, 20), np.eye(4))), SimulateConfig(axis="A"))
    acquisition = describe_acquisition(Scan.made_here(thick), Config())
    return Task(torch.from_numpy(thick.data), thick.grid, acquisition, 1.0)


def test_every_name_that_can_be_chosen_has_a_solver():
    assert tuple(SOLVERS) == SOLVER_NAMES


def test_an_untrained_warm_start_is_the_locked_spline_along_any_axis(task, prior):
    found = solve(task, Config(solver="warmstart", prior=str(prior)), silent)
    expected = task.A.project(task.x0, task.y)
    torch.testing.assert_close(found.x, expected, rtol=1e-4, atol=1e-3)


def test_a_prior_without_a_warm_start_is_refused(task, tmp_path):
    folder = write_prior(tmp_path / "empty", {})
    with pytest.raises(InputError, match="no warm-start network"):
        solve(task, Config(solver="warmstart", prior=str(folder)), silent)


def test_a_damaged_warm_start_is_refused(task, prior):
    file = prior / "warmstart.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"warmstart\.safetensors"):
        solve(task, Config(solver="warmstart", prior=str(prior)), silent)


def test_a_card_that_does_not_fit_its_weights_is_refused(task, tmp_path):
    part = NetworkCard("WarmStartNet", {"widths": [4, 4, 8]}, "warmstart.safetensors")
    folder = write_prior(tmp_path / "other", {"warmstart": part})
    with pytest.raises(InputError, match=r"prior\.json"):
        solve(task, Config(solver="warmstart", prior=str(folder)), silent)


def thick_task(thickness_mm, spacing_mm=1.0):
    grid = Grid((20, 20, 8), np.diag([1.0, 1.0, thickness_mm, 1.0]))
    data = np.random.default_rng(0).uniform(20, 90, grid.shape).astype(np.float32)
    scan = Scan.made_here(Volume(data, grid))
    acquisition = describe_acquisition(scan, Config(spacing_mm=spacing_mm))
    return Task(torch.from_numpy(data), grid, acquisition, 1.0)


@pytest.mark.parametrize("thickness_mm", [2.0, 5.0, 9.0])
def test_slices_like_those_of_the_training_get_the_warm_start(thickness_mm):
    assert choose_solver(thick_task(thickness_mm), "auto") == ("warmstart", ())


@pytest.mark.parametrize(("thickness_mm", "spacing_mm"), [(1.2, 1.0), (12.0, 1.0), (5.0, 0.4)])
def test_other_slices_get_total_variation_and_a_sentence(thickness_mm, spacing_mm):
    solver, notes = choose_solver(thick_task(thickness_mm, spacing_mm), "auto")
    assert solver == "tv"
    assert "tv is used" in notes[0]


def test_a_named_solver_is_taken_whatever_the_slices():
    assert choose_solver(thick_task(12.0), "spline") == ("spline", ())
