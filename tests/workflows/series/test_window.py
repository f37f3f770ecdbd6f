"""One window: each slice at its time, noise taken away, and agreement with what was measured."""

import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import Acquisition
from inversesr.measurements.series import SeriesModel
from inversesr.volume import Grid
from inversesr.workflows.series.window import (
    at_frames,
    changes,
    restore_window,
)
from tests.support.laws import normal

GRID = Grid((8, 8, 4), np.diag([2.0, 2.0, 4.0, 1.0]))
TIMES = np.array([0.0, 1.0, 0.5, 1.5])


def model(n=16, frame_s=1.0, times=TIMES):
    acquisition = Acquisition(2, 4.0, 4.0, "rect", (2.0, 2.0, 2.0))
    return SeriesModel(GRID, acquisition, times, 2.0, frame_s, (np.eye(4),) * n)


def test_slices_are_brought_to_the_times_of_frames():
    """A slow wave, seen by each slice at its time, is one wave in all slices of the frames."""
    found, n = model(), 16
    when = 2.0 * np.arange(n)[:, None] + TIMES
    y = torch.from_numpy(np.sin(0.3 * when)).float()[:, None, None, :].expand(n, 8, 8, 4)
    frames = at_frames(y, found, range(n), range(32))
    expected = torch.from_numpy(np.sin(0.3 * np.arange(32))).float()
    inner = slice(4, 28)
    for k in range(4):
        assert torch.allclose(frames[inner, 0, 0, k], expected[inner], atol=0.02)


@pytest.mark.parametrize("temporal", ["low-rank", "tv"])
def test_noise_is_taken_away_and_found(temporal):
    found, sigma = changes(2.0 * normal((40, 8, 8, 4), 0, torch.float32), temporal, 2)
    assert float(found.square().mean()) < 0.5 * 4.0
    assert sigma == pytest.approx(2.0, rel=0.1)


def series():
    found = model()
    mean = 100.0 + 10.0 * normal(found.wide.shape, 1, torch.float32)
    wave = torch.sin(0.3 * torch.arange(32.0))
    x = mean + 8.0 * wave[:, None, None, None] * normal(found.wide.shape, 2, torch.float32)
    operator = found.operator(range(16), range(32))
    return found, mean, x, operator


def test_frames_are_consistent_with_every_slice_at_its_time():
    found, mean, _x, operator = series()
    y = operator(_x)
    whole = (range(16), range(16))
    exact = restore_window(found, mean, y, whole, ("none", "exact"))
    assert float((operator(exact.frames) - y).abs().max()) < 0.05
    off = restore_window(found, mean, y, whole, ("none", "off"))
    assert exact.misfit < 0.05 * off.misfit
    noisy = y + 1.0 * normal(y.shape, 3, torch.float32)
    near = restore_window(found, mean, noisy, whole, ("none", "auto"))
    assert near.misfit < 2.0


def test_only_the_frames_of_the_core_are_given():
    found, mean, x, operator = series()
    y = operator(x)
    part = restore_window(found, mean, y[2:12], (range(4, 8), range(2, 12)), ("none", "off"))
    assert part.frames.shape == (8, *found.fine.shape)
    whole = restore_window(found, mean, y, (range(16), range(16)), ("none", "off"))
    assert torch.allclose(part.frames, whole.frames[8:16], atol=1.5)
