from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from time import sleep, time

import pytest
import torch

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks import case as benchmark_case
from inversesr.benchmarks.case import Case, Trace, measure, run_alone, score_against
from inversesr.benchmarks.rows import Row
from inversesr.config import Config
from inversesr.io.nifti import read_scan
from inversesr.priors.loading import load_prior
from inversesr.priors.samplers import timestep_path
from inversesr.solvers.latent.chain import N_SAMPLE_STEPS
from inversesr.workflows.files import simulate_file
from inversesr.workflows.run import run_job
from tests.priors.test_latent_diffusion import local_card
from tests.support.problems import one_thread, random_tensors, write_prior  # noqa: F401  (a fixture)
from tests.support.thin_slices import SHAPE, stay_in_this_process, write_head

SECONDS_A_SCORE = 0.2


@pytest.fixture
def truth(tmp_path):
    return write_head(tmp_path)


@pytest.fixture
def prior(tmp_path, monkeypatch):
    # lean gradients look for blocks of MONAI, whose import takes seconds
    monkeypatch.setattr("inversesr.priors.latent_diffusion.lean_copy", lambda network: network)
    card = local_card()
    return str(write_prior(tmp_path / "tiny", card, random_tensors(card)))


@pytest.fixture
def without_processes(monkeypatch):
    stay_in_this_process(monkeypatch)


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
def test_data_consistency_is_seen_in_the_residual_and_not_in_the_null_space(truth, prior):
    rows = [measure(case_of(truth, prior, name), time()) for name in ("spline", "tv")]
    spline, tv = rows
    assert spline.after_consistency_largest == spline.before_consistency_largest > 1e-3
    assert tv.after_consistency_largest < 1e-5
    assert tv.after_consistency_rms <= tv.after_consistency_largest
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
    # exact data consistency that follows does not touch the null space
    assert quality[-1] == pytest.approx(row.null_space_psnr_db, abs=1e-3)
    assert list(seconds) == sorted(seconds)
    assert seconds[-1] == pytest.approx(row.solver_seconds, rel=0.3, abs=0.1)
    assert len(row.trace) == 2 if solver == "spline" else len(row.trace) > 3


def slow(_x):
    """Take a long time to find no quality."""
    sleep(SECONDS_A_SCORE)
    return 0.0


def test_the_clock_of_a_trace_stands_still_while_it_scores():
    trace = Trace(slow)
    for _ in range(3):
        trace(torch.zeros(1))
    assert trace.scoring_seconds >= 3 * SECONDS_A_SCORE
    assert trace.points[-1][0] < SECONDS_A_SCORE


@pytest.mark.usefixtures("without_processes")
def test_what_scoring_takes_is_no_time_of_the_solver_or_the_process(truth, prior, monkeypatch):
    monkeypatch.setattr(benchmark_case, "score_against", lambda *_: slow)
    row = measure(case_of(truth, prior, "spline", is_traced=True), time())
    assert len(row.trace) == 2
    assert 0.0 < row.solver_seconds < row.process_seconds < 2 * SECONDS_A_SCORE


@pytest.mark.usefixtures("without_processes")
def test_without_a_truth_there_are_figures_and_no_scores(truth, prior):
    case = case_of(truth, prior, "spline")
    scored = measure(case, time())
    row = measure(replace(case, truth=None, is_traced=True), time())
    assert row.n_voxels == scored.n_voxels == SHAPE[0] * SHAPE[1] * SHAPE[2]
    assert row.before_consistency_rms == scored.before_consistency_rms
    assert (row.psnr_db, row.ssim, row.null_space_psnr_db) == (None, None, None)
    assert row.trace == ()
    assert scored.psnr_db > 10.0


@pytest.mark.usefixtures("without_processes")
def test_the_score_of_a_row_is_that_of_the_image_that_run_writes(truth, prior, tmp_path):
    case = case_of(truth, prior, "spline")
    row = measure(case, time())
    result, _ = run_job([case.scan], case.config, tmp_path / "out")
    score = score_against(read_scan(truth).volume, read_scan(case.scan), case.config)
    assert score(torch.from_numpy(result.volume.data)) == pytest.approx(row.null_space_psnr_db)


@pytest.mark.usefixtures("without_processes")
def test_what_fails_leaves_what_was_known_before_and_the_reason(truth, prior):
    case = case_of(truth, prior, "spline")
    broken = replace(case, scan=truth.with_name("none.nii.gz"))
    row = run_alone(broken)
    assert "none.nii.gz does not exist" in row.failure
    assert replace(row, failure="") == broken.row
    assert run_alone(case).failure == ""


def test_a_killed_process_is_a_row_that_says_so(truth, prior, monkeypatch):
    stay_in_this_process(monkeypatch)

    def die(_case, _started):
        raise BrokenProcessPool

    monkeypatch.setattr(benchmark_case, "measure", die)
    row = run_alone(case_of(truth, prior, "spline"))
    assert "the process was killed" in row.failure


@pytest.mark.slow
def test_a_process_of_its_own_gives_the_same_row(truth, prior):
    case = case_of(truth, prior, "tv")
    assert run_alone(case).psnr_db == pytest.approx(measure(case, time()).psnr_db)
