import numpy as np
import pytest
import torch

from inversesr.measurements.linear import linear_measurement
from inversesr.operators.fourier import SampledFourier
from inversesr.operators.sampling import Sampling
from inversesr.volume import Grid
from tests.support.laws import normal

SHAPE = (4, 5, 6)
FINE = Grid(SHAPE, np.eye(4))


def measured(complex_data):
    marks = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0)) < 0.5
    A = (SampledFourier if complex_data else Sampling)(marks)
    x = normal(SHAPE, 1, torch.float32)
    return linear_measurement(A(x), A, 0.1, torch.zeros(SHAPE), FINE), x


@pytest.mark.parametrize("complex_data", [False, True])
def test_data_are_real_and_those_of_the_operator(complex_data):
    m, x = measured(complex_data)
    assert not m.y.is_complex()
    assert torch.equal(m.A(x), m.y)


@pytest.mark.parametrize("complex_data", [False, True])
def test_data_follow_the_intensities_of_the_image(complex_data):
    m, x = measured(complex_data)
    torch.testing.assert_close(m.in_units(3.0, 5.0), m.A((x - 3.0) / 5.0), atol=1e-5, rtol=1e-5)


def test_an_image_is_seen_as_far_as_it_was_guessed():
    m, _ = measured(complex_data=False)
    assert m.seen is m.x0
    assert m.seen_grid is FINE


@pytest.mark.parametrize("wrong", ["data", "guess"])
def test_shapes_that_do_not_fit_are_refused(wrong):
    m, _ = measured(complex_data=False)
    y, x0 = (m.y[1:], m.x0) if wrong == "data" else (m.y, m.x0[1:])
    with pytest.raises(ValueError, match=r"found a tensor of shape .*; expected"):
        linear_measurement(y, m.A, 0.1, x0, FINE)
