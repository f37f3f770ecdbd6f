from dataclasses import replace

import pytest

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.rows import Row
from inversesr.benchmarks.tasks import means_by_task, standard_tasks


def test_each_task_differs_from_the_first_and_occurs_once():
    tasks = standard_tasks()
    assert tasks[0] == SimulateConfig()
    assert len(set(tasks)) == len(tasks)


def test_the_set_covers_every_profile_direction_gap_and_noise():
    tasks = standard_tasks(seed=3)
    assert {task.profile for task in tasks} == {"rect", "gaussian", "slr"}
    assert {task.axis for task in tasks} == {"R", "A", "S"}
    assert {task.noise for task in tasks} == {0.0, 0.02, 0.05}
    # single thin slices: voxels that no slice sees lie between them
    assert any(task.gap_mm > task.thickness_mm for task in tasks)
    assert {task.seed for task in tasks} == {3}


def row(image, solver, psnr_db, noise=0.0):
    return Row(image, solver, 4.0, 0.0, "rect", noise, "S", psnr_db=psnr_db, spectral_error_db=1.0)


def test_means_are_taken_over_images_task_by_task():
    rows = [row("a", "tv", 20.0), row("b", "tv", 23.0), row("a", "tv", 18.0, noise=2.0)]
    first, second = means_by_task(rows)
    assert (first.task, first.psnr_db, first.n_images) == ("4|0 mm rect", {"tv": 21.5}, 2)
    assert (second.task, second.psnr_db) == ("4|0 mm rect, 2 % noise", {"tv": 18.0})


@pytest.mark.parametrize("n_failed", [1, 2])
def test_a_mean_over_fewer_images_than_the_others_is_not_given(n_failed):
    rows = [row("a", "tv", 20.0), row("b", "tv", 23.0)]
    rows[:n_failed] = [replace(r, psnr_db=None, failure="no") for r in rows[:n_failed]]
    (found,) = means_by_task([*rows, row("a", "spline", 19.0), row("b", "spline", 21.0)])
    assert found.psnr_db == {"tv": None, "spline": 20.0}
