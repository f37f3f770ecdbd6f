import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import Acquisition
from inversesr.measurements.protocol import Measurement
from inversesr.measurements.slices import Task
from inversesr.volume import Grid
from tests.support.measurements import gaussian_measurement


def slices():
    grid = Grid((4, 5, 3), np.diag([1.0, 1.0, 4.0, 1.0]))
    return Task(
        torch.zeros(grid.shape), grid, Acquisition(2, 4.0, 4.0, "rect", (1.0, 1.0, 1.0)), 0.0
    )


@pytest.mark.parametrize("made", [slices, lambda: gaussian_measurement("k-space").measurement])
def test_every_builder_offers_what_solvers_ask_for(made):
    measurement = made()
    asked = [name for name in vars(Measurement) if not name.startswith("_")]
    assert len(asked) >= 12
    for name in asked:
        assert hasattr(measurement, name), name
    image = measurement.x0
    assert measurement.A(image).shape == measurement.y.shape
    assert tuple(image.shape) == measurement.fine.shape
    assert tuple(measurement.seen.shape) == measurement.seen_grid.shape
    assert measurement.in_units(0.0, 1.0).shape == measurement.y.shape
