from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from time import sleep, time

import numpy as np
import pytest
import torch
from problems import free_card, one_thread, random_tensors, write_prior  # noqa: F401  (a fixture)

from inversesr import benchmark, benchmark_case, benchmark_robustness, job
from inversesr.benchmark import Setup, compare_solvers, read_truth, runnable_solvers
from inversesr.benchmark_case import Case, Trace, failure_of, measure
from inversesr.benchmark_robustness import Gain, measure_robustness, summarise_gains
from inversesr.benchmark_rows import Row
from inversesr.config import SOLVER_NAMES, Config, SimulateConfig
from inversesr.errors import InputError
from inversesr.files import simulate_file
from inversesr.nifti import Scan, write_volume
from inversesr.priors.latent_diffusion import load_prior
from inversesr.priors.schedule import timestep_path
from inversesr.solvers.chain import N_SAMPLE_STEPS
from inversesr.volume import Grid, Volume

SHAPE = (20, 18, 24)


def silent(_row):
    """Say nothing."""


@pytest.fixture
def truth(tmp_path):
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    radius = sum(a**2 for a in axes) ** 0.5
    data = 100.0 * (radius < 0.9) + 60.0 * (radius < 0.5) + 5.0 * np.sin(20.0 * axes[2])
    volume = Volume(np.abs(data).astype(np.float32), Grid(SHAPE, np.eye(4)))
    path = tmp_path / "head.nii.gz"
    write_volume(path, volume, Scan.made_here(volume))
    return path


@pytest.fixture
def prior(tmp_path):
    card = free_card()
    write_prior(tmp_path / "tiny", card, random_tensors(card))
    return str(tmp_path / "tiny")


@pytest.fixture
def without_processes(monkeypatch):
    """Run what is meant for another process in a thread: starting Python takes seconds."""
    for module in (benchmark_case, benchmark_robustness):
        monkeypatch.setattr(module, "new_process", lambda: ThreadPoolExecutor(1))
    monkeypatch.setattr(job, "has_report_packages", lambda: False)


def case_of(truth, prior, solver, *settings, is_traced=False):
    thick = truth.with_name("thick.nii.gz")
    simulate_file(truth, thick, SimulateConfig(), force=True)
    config = Config(solver=solver, prior=prior, settings=settings, thickness_mm=4.0)
    return Case(Row("head", solver), thick, config, truth, is_traced)


def denoiser_calls_of_a_sample(prior):
    schedule = load_prior(prior).schedule
    return len(timestep_path(schedule, min(N_SAMPLE_STEPS, schedule.n_levels - 1))) - 1


@pytest.mark.usefixtures("without_processes")
def test_counted_passes_are_those_that_the_published_method_must_use(truth, prior):
    settings = ("solver.n_steps=3", "solver.n_start_samples=1")
    row = measure(case_of(truth, prior, "inversesr-dec", *settings), time())
    # three steps and the last image; the sample at the start goes down the whole path
    assert (row.decode, row.decode_backward) == (4, 3)
    assert (row.denoise, row.denoise_backward) == (denoiser_calls_of_a_sample(prior), 0)


@pytest.mark.usefixtures("without_processes")
def test_a_solver_without_a_gradient_has_no_backward_passes(truth, prior):
    settings = ("solver.n_levels=2", "solver.n_denoiser_steps=1")
    row = measure(case_of(truth, prior, "latent-pnp", *settings), time())
    # of both signs at each level; the reference, one a level, and the last image
    assert (row.denoise, row.decode, row.encode) == (4, 4, 6)
    assert (row.denoise_backward, row.decode_backward, row.encode_backward) == (0, 0, 0)


@pytest.mark.usefixtures("without_processes")
def test_the_lock_is_seen_in_the_residual_and_not_in_the_null_space(truth, prior):
    rows = [measure(case_of(truth, prior, name), time()) for name in ("spline", "tv")]
    spline, tv = rows
    assert spline.after_lock_largest == spline.before_lock_largest > 1e-3
    assert tv.after_lock_largest < 1e-5
    assert tv.after_lock_rms <= tv.after_lock_largest
    assert tv.peak_gib > 0.05
    assert 0.0 < tv.solver_seconds < tv.process_seconds
    assert tv.null_space_psnr_db == pytest.approx(tv.psnr_db, abs=0.1)


@pytest.mark.usefixtures("without_processes")
@pytest.mark.parametrize("solver", ["spline", "tv", "latent-pnp", "inversesr-dec"])
def test_a_trace_begins_with_spline_and_ends_with_the_quality_of_the_row(truth, prior, solver):
    settings = ("solver.n_levels=2", "solver.n_steps=2", "solver.n_start_samples=1")
    begin = measure(case_of(truth, prior, "spline"), time()).null_space_psnr_db
    row = measure(case_of(truth, prior, solver, *settings, is_traced=True), time())
    seconds, quality = zip(*row.trace, strict=True)
    assert quality[0] == pytest.approx(begin, abs=1e-3)
    # the exact lock that follows does not touch the null space
    assert quality[-1] == pytest.approx(row.null_space_psnr_db, abs=1e-3)
    assert list(seconds) == sorted(seconds)
    assert seconds[-1] == pytest.approx(row.solver_seconds, rel=0.3, abs=0.1)
    assert len(row.trace) == 2 if solver == "spline" else len(row.trace) > 3


def test_the_clock_of_a_trace_stands_still_while_it_scores():
    def slow(_x):
        sleep(0.05)
        return 0.0

    trace = Trace(slow)
    for _ in range(3):
        trace(torch.zeros(1))
    assert trace.scoring_seconds >= 0.15
    assert trace.points[-1][0] < 0.05


@pytest.mark.usefixtures("without_processes")
def test_a_solver_that_fails_is_a_row_and_the_others_go_on(truth, tmp_path):
    (tmp_path / "empty").mkdir()
    setup = Setup(prior=str(tmp_path / "empty"))
    seen = []
    rows = compare_solvers(
        [truth], [SimulateConfig()], ["latent-pnp", "spline"], seen.append, setup
    )
    assert [row.solver for row in rows] == ["latent-pnp", "spline"]
    assert "prior.json" in rows[0].failure
    assert rows[0].psnr_db is None
    assert rows[1].failure == ""
    assert rows[1].psnr_db > 10.0
    assert seen == rows


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("no such prior"), "no such prior"),
        (ValueError("a bug\nwith details"), "ValueError: a bug"),
        (BrokenProcessPool(), "the process was killed, as happens where memory runs out"),
    ],
)
def test_what_went_wrong_becomes_one_sentence(error, sentence):
    future = Future()
    future.set_exception(error)
    assert failure_of(future) == sentence


def test_a_crop_keeps_the_middle_in_its_place(truth):
    whole, part = (read_truth(truth, "S", n).volume for n in (None, 16))
    assert part.data.shape == (16, 16, 24)
    assert np.array_equal(part.data, whole.data[2:18, 1:17])
    np.testing.assert_allclose(part.grid.affine @ [0, 0, 0, 1], whole.grid.affine @ [2, 1, 0, 1])


def test_a_crop_along_another_direction_keeps_that_direction_whole(truth):
    assert read_truth(truth, "R", 16).volume.data.shape == (20, 16, 16)


def test_a_tiny_crop_is_refused():
    with pytest.raises(InputError, match="at least 16"):
        Setup(crop=4)


def test_only_solvers_whose_networks_are_there_run_by_default(prior):
    assert runnable_solvers() == list(SOLVER_NAMES)
    assert runnable_solvers(prior) == [name for name in SOLVER_NAMES if name != "warmstart"]


@pytest.mark.usefixtures("without_processes")
def test_spline_gains_nothing_over_itself_anywhere(truth):
    tasks = [SimulateConfig(thickness_mm=t, noise=0.02) for t in (3.0, 4.0)]
    rows = measure_robustness([truth], tasks, ["spline"], silent, Setup(crop=16))
    assert [row.gain_db for row in rows] == [0.0, 0.0]
    assert [row.noise_percent for row in rows] == [2.0, 2.0]


@pytest.mark.usefixtures("without_processes")
def test_a_case_that_fails_does_not_end_the_sweep(truth):
    tasks = [SimulateConfig(thickness_mm=t) for t in (20.0, 4.0)]
    rows = measure_robustness([truth], tasks, ["spline"], silent, Setup())
    assert "slices" in rows[0].failure
    assert rows[1].gain_db == 0.0


def test_the_summary_has_mean_and_worst_by_cell_and_over_all():
    def gain(image, thickness_mm, value):
        return Gain(image, "tv", thickness_mm, "rect", 1.0, "S", value, 20.0, 19.0, 0.9, 0.8)

    rows = [gain("a", 3.0, 1.0), gain("b", 3.0, -0.5), gain("a", 4.0, 2.0)]
    rows.append(Gain("b", "tv", 4.0, "rect", 1.0, failure="no"))
    thin, thick, overall = summarise_gains(rows)
    assert (thin.mean_db, thin.worst_db, thin.n_cases) == (0.25, -0.5, 2)
    assert (thick.mean_db, thick.worst_db, thick.n_failed) == (2.0, 2.0, 1)
    assert (overall.task, overall.n_cases, overall.n_failed) == ("all", 3, 1)
    assert overall.worst_case == "b, 3 mm rect 1 %"
    assert overall.mean_db == pytest.approx(2.5 / 3.0)


@pytest.mark.slow
def test_a_process_of_its_own_gives_the_same_row(truth, prior):
    case = case_of(truth, prior, "tv")
    assert benchmark_case.run_alone(case).psnr_db == pytest.approx(measure(case, time()).psnr_db)


@pytest.mark.slow
def test_scans_of_growing_size_are_timed_without_a_truth(monkeypatch):
    monkeypatch.setattr(benchmark, "SCALING_SHAPES", ((16, 16, 8),))
    (row,) = benchmark.measure_scaling(["spline"], silent)
    assert (row.task, row.psnr_db, row.failure) == ("phantom 16 x 16 x 8", None, "")


@pytest.mark.parametrize("misstated", [-0.2, 0.2])
def test_a_misstated_thickness_leaves_the_distance_between_slices(misstated):
    task = SimulateConfig(thickness_mm=4.0, gap_mm=1.0)
    told = Setup(misstated=misstated).config("tv", task, Grid((9, 9, 9), np.eye(4)))
    assert told.thickness_mm == pytest.approx(4.0 * (1.0 + misstated))
    assert told.thickness_mm + told.gap_mm == pytest.approx(5.0)
