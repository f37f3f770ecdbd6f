"""The model of a series: which frames and voxels there are, and how windows cover it."""

import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import Acquisition
from inversesr.measurements.series import SeriesModel, windows
from inversesr.volume import Grid

GRID = Grid((4, 5, 3), np.diag([2.0, 2.0, 6.0, 1.0]))
ACQUISITION = Acquisition(2, 6.0, 6.0, "rect", (2.0, 2.0, 2.0))


def model(n_volumes=4, frame_s=1.5, shift_mm=0.0):
    poses = [np.eye(4) for _ in range(n_volumes)]
    poses[-1][2, 3] = shift_mm
    return SeriesModel(GRID, ACQUISITION, np.array([0.0, 1.0, 2.0]), 3.0, frame_s, tuple(poses))


def test_frames_last_as_long_as_the_series():
    assert model().n_frames == 8
    assert model(frame_s=3.0).n_frames == 4
    assert [model().frames_of(r) for r in (range(2), range(2, 4))] == [range(4), range(4, 8)]
    assert [model().volume_at(j) for j in range(8)] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_moving_head_is_modelled_beyond_the_slices():
    assert model().wide.shape == (4, 5, 9)
    moved = model(shift_mm=3.0)
    assert moved.n_beyond == 2
    assert moved.wide.shape == (4, 5, 13)
    centre = [g.affine @ [*((np.array(g.shape) - 1) / 2), 1] for g in (moved.wide, moved.fine)]
    assert np.allclose(*centre)


def test_the_operator_measures_what_changes_at_the_time_of_each_slice():
    """An image that rises by 1 a second shows in each slice the time at which it was measured."""
    found = model()
    operator = found.operator(range(4), range(8))
    x = torch.stack([torch.full(found.wide.shape, 1.5 * j) for j in range(8)])
    y = operator(x)
    expected = np.arange(3)[:, None] * 3.0 + found.slice_times_s
    assert np.allclose(y[:3, 0, 0], expected, atol=0.2)  # the ends bend
    assert np.allclose(y[1, 0, 0], expected[1], atol=1e-5)


@pytest.mark.parametrize(("n", "size", "overlap"), [(10, 64, 4), (100, 40, 4), (37, 12, 3)])
def test_windows_restore_every_volume_once_and_look_around_it(n, size, overlap):
    found = windows(n, size, overlap)
    assert [t for core, _ in found for t in core] == list(range(n))
    for core, looked in found:
        assert len(looked) <= max(size, len(core) + 2 * overlap)
        assert looked.start <= max(0, core.start - overlap)
        assert looked.stop >= min(n, core.stop + overlap)
