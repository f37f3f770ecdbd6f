"""What does not change in a series is found from all its volumes."""

import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import Acquisition
from inversesr.measurements.series import SeriesModel
from inversesr.volume import Grid
from inversesr.workflows.series.config import SeriesConfig
from inversesr.workflows.series.mean import find_mean, narrowed, noise_of, widened
from tests.support.laws import normal

GRID = Grid((12, 12, 5), np.diag([2.0, 2.0, 4.0, 1.0]))


def model(n, shift_mm=0.0):
    poses = [np.eye(4) for _ in range(n)]
    for t, pose in enumerate(poses):
        pose[2, 3] = shift_mm * t
    acquisition = Acquisition(2, 4.0, 4.0, "rect", (2.0, 2.0, 2.0))
    return SeriesModel(GRID, acquisition, np.zeros(5), 2.0, 2.0, tuple(poses))


def test_noise_is_what_changes_from_volume_to_volume():
    y = 100.0 + 3.0 * normal((6, 12, 12, 5), 0, torch.float32)
    assert noise_of(lambda t: y[t], 6) == pytest.approx(3.0, rel=0.1)


def test_a_head_seen_by_slices_at_many_places_is_known_better_than_by_one_volume():
    found = model(6, 0.6)
    x = 100.0 + 20.0 * normal(found.wide.shape, 1, torch.float32)
    y = torch.stack([found.A(found.move(pose)(x)) for pose in found.poses])
    config = SeriesConfig(solver="spline").of_a_volume(2.0)
    several = find_mean(lambda t: y[t], found, 1.0, config, lambda *_: None, is_moving=False)
    alone = find_mean(lambda t: y[t], model(1), 1.0, config, lambda *_: None, is_moving=False)
    truth = narrowed(x, found)
    errors = [float((narrowed(m.x, m.model) - truth).square().mean()) for m in (several, alone)]
    assert errors[0] < 0.8 * errors[1]
    assert several.solver == "spline"


def test_what_lies_beyond_the_slices_is_cut_off_again():
    found = model(3, 1.5)
    x = normal(found.fine.shape, 2, torch.float32)
    wide = widened(x, found)
    assert wide.shape == found.wide.shape
    assert torch.equal(narrowed(wide, found), x)
    assert torch.equal(wide[..., 0], x[..., 0])
