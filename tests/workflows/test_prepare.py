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
from inversesr.operators.proximal import project
from inversesr.priors.card import (
    FileCard,
    GridCard,
    LatentCard,
    NetworkCard,
    PriorCard,
    dump_card,
)
from inversesr.priors.networks.unet import SuperResolutionShape, SuperResolutionUNet
from inversesr.priors.store import digest
from inversesr.priors.tensors import save_tensors
from inversesr.solvers import registry
from inversesr.solvers.latent import inversesr_ldm
from inversesr.solvers.tv.single import SHARE_OF_NOISE
from inversesr.volume import Grid, Volume
from inversesr.workflows import prepare as module
from inversesr.workflows.prepare import prepare_task, solver_of_fusion
from inversesr.workflows.refusals import refuse_ignored
from tests.support import problems
from tests.support.problems import free_card, one_thread, random_tensors, tiny_card  # noqa: F401  (a fixture)

SHAPE = {"widths": [4, 4, 4], "n_blocks": [1, 1, 1], "n_embedding": 4}


def solve(task, config, progress):
    return prepare_task(task, config).solve(progress)


def choose_solver(task, wanted, n_samples=None, strange=""):
    entry, notes = module.choose_solver(task, Config(solver=wanted, samples=n_samples), strange)
    return entry.name, notes


def silent(_phase, _done, _total):
    """Say nothing."""


def write_prior(folder, networks):
    folder.mkdir()
    files = {}
    for part in networks.values():
        save_tensors(
            folder / part.file, SuperResolutionUNet(SuperResolutionShape(**SHAPE)).state_dict()
        )
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
    part = NetworkCard("SuperResolutionUNet", SHAPE, "unet.safetensors")
    return write_prior(tmp_path / "small", {"unet": part})


@pytest.fixture
def task():
    data = np.random.default_rng(0).uniform(20, 90, (16, 18, 20)).astype(np.float32)
    thick = simulate(Volume(data, Grid((16, 18, 20), np.eye(4))), SimulateConfig(axis="A"))
    acquisition = describe_acquisition(Scan.made_here(thick), Config())
    return Task(torch.from_numpy(thick.data), thick.grid, acquisition, 1.0)


def test_an_untrained_unet_is_the_consistent_spline_along_any_axis(task, prior):
    found = solve(task, Config(solver="unet", prior=str(prior)), silent)
    expected = project(task.A, task.x0, task.y).x
    torch.testing.assert_close(found.x, expected, rtol=1e-4, atol=1e-3)


def test_a_prior_without_a_unet_is_refused(task, tmp_path):
    folder = write_prior(tmp_path / "empty", {})
    with pytest.raises(InputError, match="no super-resolution network"):
        solve(task, Config(solver="unet", prior=str(folder)), silent)


def test_a_damaged_unet_is_refused(task, prior):
    file = prior / "unet.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"unet\.safetensors"):
        solve(task, Config(solver="unet", prior=str(prior)), silent)


def test_a_card_that_does_not_fit_its_weights_is_refused(task, tmp_path):
    part = NetworkCard("SuperResolutionUNet", {"widths": [4, 4, 8]}, "unet.safetensors")
    folder = write_prior(tmp_path / "other", {"unet": part})
    with pytest.raises(InputError, match=r"prior\.json"):
        solve(task, Config(solver="unet", prior=str(folder)), silent)


def thick_task(thickness_mm, spacing_mm=1.0, gap_mm=0.0):
    grid = Grid((20, 20, 8), np.diag([1.0, 1.0, thickness_mm + gap_mm, 1.0]))
    data = np.random.default_rng(0).uniform(20, 90, grid.shape).astype(np.float32)
    scan = Scan.made_here(Volume(data, grid))
    config = Config(spacing_mm=spacing_mm, gap_mm=gap_mm)
    return Task(torch.from_numpy(data), grid, describe_acquisition(scan, config), 1.0)


@pytest.mark.parametrize("thickness_mm", [2.0, 5.0, 9.0])
def test_slices_like_those_of_the_training_get_the_unet(thickness_mm):
    assert choose_solver(thick_task(thickness_mm), "auto") == (registry.DEFAULT_NAME, ())


@pytest.mark.parametrize(("thickness_mm", "gap_mm"), [(1.0, 3.0), (1.2, 1.8), (4.0, 4.0)])
def test_thin_slices_far_apart_and_wide_gaps_get_the_unet(thickness_mm, gap_mm):
    assert choose_solver(thick_task(thickness_mm, gap_mm=gap_mm), "auto") == (
        registry.DEFAULT_NAME,
        (),
    )


@pytest.mark.parametrize(
    ("thickness_mm", "gap_mm"), [(1.2, 0.5), (1.2, 1.2), (1.2, 12.0), (5.0, 15.0)]
)
def test_thin_slices_close_together_and_those_too_far_apart_do_not(thickness_mm, gap_mm):
    assert choose_solver(thick_task(thickness_mm, gap_mm=gap_mm), "auto")[0] == "tv"


@pytest.mark.parametrize(("thickness_mm", "spacing_mm"), [(1.2, 1.0), (13.0, 1.0), (9.0, 0.7)])
def test_other_slices_get_total_variation_and_a_sentence(thickness_mm, spacing_mm):
    solver, notes = choose_solver(thick_task(thickness_mm, spacing_mm), "auto")
    assert solver == "tv"
    assert "tv is used" in notes[0]


@pytest.mark.parametrize("spacing_mm", [0.5, 0.4, 0.1])
def test_slices_of_many_thin_ones_are_known_by_groups_of_these(spacing_mm):
    assert choose_solver(thick_task(5.0, spacing_mm), "auto")[0] == registry.DEFAULT_NAME


def test_overlapping_slices_get_total_variation_to_within_their_noise():
    task = thick_task(5.0, gap_mm=-1.5)
    solver, notes = choose_solver(task, "auto")
    assert solver == "tv"
    assert "slices overlap" in notes[0]
    assert prepare_task(task, Config()).setup.consistency == "noise"
    assert prepare_task(task, Config(consistency="exact")).setup.consistency == "exact"
    touching = thick_task(5.0, gap_mm=-1.0)
    assert choose_solver(touching, "auto") == (registry.DEFAULT_NAME, ())
    assert prepare_task(touching, Config(solver="tv")).setup.consistency == "exact"


def test_a_thickness_in_single_precision_is_known_to_the_last_digit():
    spacing = float(np.float32(0.8)) - 1e-7
    assert choose_solver(thick_task(12.0 * 0.8, spacing), "auto") == (registry.DEFAULT_NAME, ())


@pytest.mark.parametrize(
    ("consistency", "share"), [("exact", 1.0), ("noise", SHARE_OF_NOISE), ("off", SHARE_OF_NOISE)]
)
def test_total_variation_stays_nearer_to_a_scan_that_is_not_met_exactly(consistency, share):
    task = replace(thick_task(4.0), sigma=9.0)
    x = solve(task, Config(solver="tv", consistency=consistency), silent).x
    rms = float((task.A(x) - task.y).square().mean().sqrt())
    assert rms == pytest.approx(share * task.sigma, rel=1e-3)


@pytest.mark.parametrize(("sigma", "share"), [(0.5, 1.0), (9.0, SHARE_OF_NOISE)])
def test_how_near_is_decided_by_the_noise_if_nothing_is_said(sigma, share):
    task = replace(thick_task(4.0), sigma=sigma)
    x = solve(task, Config(solver="tv"), silent).x
    rms = float((task.A(x) - task.y).square().mean().sqrt())
    assert rms == pytest.approx(share * sigma, rel=1e-3)


@pytest.mark.parametrize(("thickness_mm", "is_known"), [(4.0, True), (13.0, False)])
def test_samples_choose_the_solver_that_draws_them(thickness_mm, is_known):
    name, notes = choose_solver(thick_task(thickness_mm), "auto", 3)
    assert name == registry.DEFAULT_NAME
    assert is_known == (not notes)
    assert all("samples say less of the errors" in note for note in notes)


def test_samples_of_a_stack_that_lacks_slices_are_drawn_by_a_solver_that_can():
    task = thick_task(4.0)
    task = replace(task, acquisition=replace(task.acquisition, missing=(1,)))
    assert choose_solver(task, "auto", 3) == (registry.SAMPLER_OF_GAPS_NAME, ())


def test_a_named_solver_is_taken_whatever_the_slices():
    assert choose_solver(thick_task(12.0), "spline") == ("spline", ())


def test_the_prior_is_left_out_of_a_scan_that_is_strange_to_it_and_says_so():
    task = thick_task(4.0)
    assert choose_solver(task, "auto", strange="it is a fetus") == (
        registry.FALLBACK_NAME,
        ("it is a fetus: tv is used",),
    )
    assert choose_solver(task, "auto", 3, "it is a fetus")[0] == registry.DEFAULT_NAME
    assert "may invent" in choose_solver(task, "unet", strange="it is a fetus")[1][0]
    assert choose_solver(task, "tv") == ("tv", ())


@pytest.mark.parametrize(
    ("choices", "is_asked"),
    [({}, True), ({"solver": "unet"}, True), ({"solver": "tv"}, False), ({"prior": "x"}, False)],
)
def test_a_scan_is_compared_with_adults_where_the_built_in_prior_may_be_used(
    choices, is_asked, monkeypatch
):
    volume = Volume(np.ones((4, 4, 4), np.float32), Grid((4, 4, 4), np.eye(4)))
    monkeypatch.setattr(module, "doubt_of_anatomy", lambda _volume: "strange")
    assert module.strange_to_prior(volume, Config(**choices)) == ("strange" if is_asked else "")


def test_several_scans_of_which_one_is_strange_are_fused_without_the_prior(monkeypatch):
    data = np.random.default_rng(0).uniform(20, 90, (20, 20, 8)).astype(np.float32)
    scan = Scan.made_here(Volume(data, Grid((20, 20, 8), np.diag([1.0, 1.0, 4.0, 1.0]))))
    assert solver_of_fusion([scan, scan], Config())[0].name == registry.DEFAULT_NAME
    monkeypatch.setattr(module, "doubt_of_anatomy", lambda _volume: "it is a fetus")
    entry, notes = solver_of_fusion([scan, scan], Config())
    assert entry.name == registry.FALLBACK_NAME
    assert "it is a fetus: tv is used" in notes[0]
    assert solver_of_fusion([scan, scan], Config(solver="tv"))[1] == ()


FAST = (
    "solver.n_steps=1",
    "solver.n_levels=1",
    "solver.n_denoiser_steps=1",
    "solver.n_start_samples=1",
    "solver.perceptual_weight=0",
    "solver.n_samples=2",
)


@pytest.fixture(scope="module")
def diffusion(tmp_path_factory):
    card = free_card()
    return problems.write_prior(
        tmp_path_factory.mktemp("priors") / "tiny", card, random_tensors(card)
    )


@pytest.mark.parametrize("name", [entry.name for entry in registry.entries() if entry.is_latent])
def test_every_solver_with_a_prior_restores_a_scan_in_its_own_intensities(
    task, diffusion, name, monkeypatch
):
    monkeypatch.setattr(inversesr_ldm, "N_SAMPLE_STEPS", 5)
    config = Config(solver=name, prior=str(diffusion), settings=FAST)
    found = solve(task, config, silent)
    assert found.x.shape == task.fine.shape
    assert bool(torch.isfinite(found.x).all())
    assert found.prior_mask.shape == task.fine.shape
    assert found.facts["passes"]["decode"] >= 1
    assert torch.equal(found.x, solve(task, config, silent).x)
    assert (found.samples is None) == (name != "split-gibbs")


def test_what_is_protected_is_the_interpolated_scan(task, diffusion):
    region = torch.zeros(task.y.shape)
    region[:8] = 1.0
    config = Config(solver="latent-pnp", prior=str(diffusion), settings=FAST)
    found = solve(replace(task, protect=region), config, silent)
    assert float(found.prior_mask[:7].max()) < 1e-6
    assert found.facts["protected_share"] == pytest.approx(0.5, abs=0.1)
    torch.testing.assert_close(found.x[:7], task.x0[:7], rtol=1e-4, atol=1e-2)


def test_a_wrong_setting_is_refused_whatever_the_solver(task):
    with pytest.raises(InputError, match=r"solver\.NAME=VALUE"):
        solve(task, Config(solver="spline", settings=("solver.speed=9",)), silent)


def test_what_is_known_of_the_subject_reaches_the_prior_and_nothing_else(task, tmp_path):
    card = tiny_card()
    folder = problems.write_prior(tmp_path / "told", card, random_tensors(card))
    variable = card.conditioning.variables[0]
    chosen = Config(
        solver="inversesr-dec", prior=str(folder), condition=[f"{variable.name}={variable.high}"]
    )
    prior = prepare_task(task, chosen).setup.prior
    assert prior.card.conditioning.variables[0].default == variable.high
    with pytest.raises(InputError, match="--condition no effect"):
        refuse_ignored(Config(solver="tv", condition=["age=63"]))
    with pytest.raises(InputError, match="has no variable 'age'"):
        prepare_task(task, Config(solver="unet", condition=("age=63",)))
