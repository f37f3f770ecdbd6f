from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks import robustness as benchmark_robustness
from inversesr.benchmarks.comparison import Setup
from inversesr.benchmarks.robustness import Gain, measure_robustness, summarise_gains
from inversesr.evaluation.scores import score_volume
from inversesr.io.nifti import Scan, read_scan
from inversesr.workflows.restore import restore
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.thin_slices import silent, stay_in_this_process, write_head


@pytest.fixture
def truth(tmp_path):
    return write_head(tmp_path)


@pytest.fixture
def without_processes(monkeypatch):
    stay_in_this_process(monkeypatch)


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


@pytest.mark.usefixtures("without_processes")
def test_a_gain_is_the_difference_of_two_runs_on_the_same_slices(truth):
    task = SimulateConfig(thickness_mm=3.0, noise=0.01)
    (row,) = measure_robustness([truth], [task], ["tv"], silent, Setup())
    volume = read_scan(truth).volume
    scan = Scan.made_here(simulate(volume, task))
    config = Setup().config("tv", task, volume.grid)
    tv = score_volume(restore([scan], config).volume, volume)
    # spline as it is, without data consistency
    spline = score_volume(
        restore([scan], replace(config, solver="spline", consistency="off")).volume, volume
    )
    assert (row.psnr_db, row.ssim) == pytest.approx((tv.psnr_db, tv.ssim), rel=1e-5)
    assert (row.spline_psnr_db, row.spline_ssim) == pytest.approx(
        (spline.psnr_db, spline.ssim), rel=1e-5
    )
    assert row.gain_db == pytest.approx(tv.psnr_db - spline.psnr_db, abs=1e-3)
    assert row.seconds > 0.0


@pytest.mark.usefixtures("without_processes")
def test_a_thickness_that_is_misstated_costs_the_solver_and_not_the_spline(truth):
    right, wrong = (
        measure_robustness([truth], [SimulateConfig()], ["tv"], silent, Setup(misstated=share))[0]
        for share in (0.0, 0.4)
    )
    assert (wrong.spline_psnr_db, wrong.spline_ssim) == (right.spline_psnr_db, right.spline_ssim)
    assert wrong.gain_db < right.gain_db - 0.1


def test_tasks_that_differ_in_any_way_are_told_apart_in_words():
    gain = Gain("a", "tv", 3.0, "rect", 1.0)
    changes = {"thickness_mm": 4.0, "profile": "gaussian", "noise_percent": 2.0, "axis": "A"}
    rows = [gain, *(replace(gain, **{name: value}) for name, value in changes.items())]
    assert [row.task for row in rows] == [
        "3 mm rect 1 %",
        "4 mm rect 1 %",
        "3 mm gaussian 1 %",
        "3 mm rect 2 %",
        "3 mm rect along A 1 %",
    ]
    assert len(summarise_gains(rows)) == len(rows) + 1


@pytest.mark.usefixtures("without_processes")
def test_every_image_meets_every_task_with_every_solver_and_is_told_at_once(truth, tmp_path):
    (tmp_path / "more").mkdir()
    other = truth.rename(tmp_path / "more" / "second.nii.gz")
    truth = write_head(tmp_path)
    tasks = [SimulateConfig(thickness_mm=t) for t in (3.0, 4.0)]
    seen = []
    rows = measure_robustness([truth, other], tasks, ["spline", "tv"], seen.append, Setup(crop=16))
    assert seen == rows
    assert [(row.solver, row.image, row.thickness_mm) for row in rows] == [
        (solver, image, thickness_mm)
        for solver in ("spline", "tv")
        for image in ("head", "second")
        for thickness_mm in (3.0, 4.0)
    ]


def test_a_process_that_dies_is_followed_by_a_new_one(truth, monkeypatch):
    stay_in_this_process(monkeypatch)
    started, thread = [], benchmark_robustness.new_process

    def start():
        started.append(thread())
        return started[-1]

    def work(case):
        if case.task.thickness_mm == 4.0:
            raise BrokenProcessPool
        return replace(case.blank, gain_db=1.0)

    monkeypatch.setattr(benchmark_robustness, "new_process", start)
    monkeypatch.setattr(benchmark_robustness, "measure_gain", work)
    tasks = [SimulateConfig(thickness_mm=t) for t in (3.0, 4.0, 5.0, 6.0)]
    rows = measure_robustness([truth], tasks, ["spline"], silent, Setup())
    assert [row.gain_db for row in rows] == [1.0, None, 1.0, 1.0]
    assert "killed" in rows[1].failure
    assert len(started) == 2
    for process in started:
        with pytest.raises(RuntimeError, match="after shutdown"):
            process.submit(work)


def gains(seed):
    """Gains of two solvers for three images and two tasks; one in six failed."""
    rng = np.random.default_rng(seed)
    rows = []
    for solver in ("tv", "unet"):
        for image in "abc":
            for thickness_mm in (3.0, 4.0):
                blank = Gain(image, solver, thickness_mm, "rect", 0.0)
                figures = [float(value) for value in rng.normal(size=5)]
                failed = rng.uniform() < 1.0 / 6.0
                names = ("gain_db", "psnr_db", "spline_psnr_db", "ssim", "spline_ssim")
                found = dict(zip(names, figures, strict=True))
                rows.append(replace(blank, failure="no") if failed else replace(blank, **found))
    return rows


@pytest.mark.parametrize("seed", range(4))
def test_all_tasks_together_are_the_sum_of_their_cells(seed):
    rows = gains(seed)
    cells = summarise_gains(rows)
    for solver in ("tv", "unet"):
        *parts, overall = [cell for cell in cells if cell.solver == solver]
        assert overall.task == "all"
        assert len(parts) == 2
        n_cases = sum(cell.n_cases for cell in parts)
        assert (overall.n_cases, n_cases + overall.n_failed) == (n_cases, 6)
        assert overall.n_failed == sum(cell.n_failed for cell in parts)
        known = [cell for cell in parts if cell.n_cases]
        total = sum(cell.mean_db * cell.n_cases for cell in known)
        assert overall.mean_db == pytest.approx(total / n_cases)
        assert overall.worst_db == min(cell.worst_db for cell in known)
        assert overall.worst_case in {cell.worst_case for cell in known}
        assert overall.least_ssim_gain == min(cell.least_ssim_gain for cell in known)


def test_the_order_of_rows_does_not_matter():
    rows = gains(0)[:4]
    expected = {(cell.solver, cell.task): cell for cell in summarise_gains(rows)}
    for shuffled in permutations(rows):
        found = {(cell.solver, cell.task): cell for cell in summarise_gains(shuffled)}
        assert found.keys() == expected.keys()
        for key, cell in found.items():
            mean_db = pytest.approx(expected[key].mean_db)
            assert replace(cell, mean_db=None) == replace(expected[key], mean_db=None)
            assert cell.mean_db == mean_db


def test_where_everything_failed_there_is_no_mean():
    rows = [Gain("a", "tv", 3.0, "rect", 0.0, failure="no")] * 2
    for cell in summarise_gains(rows):
        assert (cell.mean_db, cell.worst_db, cell.least_ssim_gain) == (None, None, None)
        assert (cell.n_cases, cell.n_failed) == (0, 2)
    assert summarise_gains([]) == []
