"""Simulated series: what their truth says is what they show."""

import numpy as np
import pytest

from inversesr.acquisition.series_simulation import (
    SeriesTask,
    haemodynamic_response,
    interleaved,
    simulate_series,
)
from inversesr.volume import Grid, Volume


def head():
    i, j, k = np.meshgrid(*[np.arange(24.0)] * 3, indexing="ij")
    x = 100.0 / (1.0 + np.exp((np.hypot(np.hypot(i - 12, j - 12), k - 12) - 9) / 0.8))
    return Volume((x * (1 + 0.2 * np.sin(i))).astype(np.float32), Grid((24, 24, 24), np.eye(4)))


@pytest.fixture(scope="module")
def made():
    return simulate_series(head(), SeriesTask(n_volumes=3, motion_mm=0.0, noise=0.0))


def test_without_motion_slices_are_averages_of_the_truth_at_their_times(made):
    for t in range(3):
        for k, tau in enumerate(made.slice_times_s):
            thin = made.truth(3.0 * t + tau)[..., 3 * k : 3 * k + 3].mean(axis=-1)
            assert np.allclose(made.y[t, ..., k], thin, atol=0.05)


def test_the_task_changes_the_head_by_a_few_percent_where_it_is_active(made):
    assert 0 < made.is_active.mean() < 0.9
    share = made.parts[1][made.is_active] / made.parts[0][made.is_active]
    assert share.min() >= 0.0149
    assert share.max() <= 0.035


def test_slices_are_measured_every_second_one_first():
    assert np.allclose(interleaved(4, 2.0), [0.0, 1.0, 0.5, 1.5])
    assert np.allclose(interleaved(4, 2.0, 2), [0.0, 1.0, 0.0, 1.0])


def test_the_response_rises_to_one_after_five_seconds():
    t = np.linspace(-5, 30, 701)
    h = haemodynamic_response(t)
    assert h[t < 0].max() == 0.0
    assert h.max() == pytest.approx(1.0, abs=0.01)
    assert t[h.argmax()] == pytest.approx(5.0, abs=0.3)


def test_the_head_moves_as_far_as_was_asked_for():
    task = SeriesTask(n_volumes=4, motion_mm=2.0, noise=0.01, seed=3)
    moved = simulate_series(head(), task)
    assert np.array_equal(moved.poses[0], np.eye(4))
    assert any(np.abs(pose - np.eye(4)).max() > 1e-3 for pose in moved.poses)
    again = simulate_series(head(), task)
    assert np.array_equal(again.y, moved.y)
