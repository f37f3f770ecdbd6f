"""Slices follow from frames at their times; the laws are checked with those of all operators."""

import numpy as np
import pytest
import torch

from inversesr.operators.separable import SeparableOperator
from inversesr.operators.slices_in_time import SlicesInTime, instants

SAME = SeparableOperator((2, 2, 3), (None, None, None))


def series(course):
    """Return frames that follow a course."""
    return torch.stack([torch.full((2, 2, 3), float(v), dtype=torch.float64) for v in course])


def test_a_parabola_is_measured_exactly_at_the_time_of_each_slice():
    times = np.array([[1.0, 1.25, 1.9], [2.0, 2.25, 2.9]])
    operator = SlicesInTime(SAME, (None, None), instants(times, 6), 2)
    y = operator(series([(j - 1.0) ** 2 for j in range(6)]))
    assert torch.allclose(y[:, 0, 0], torch.from_numpy((times - 1.0) ** 2))


def test_each_slice_has_its_own_time_along_any_axis():
    times = np.array([[0.0, 1.0]])
    same = SeparableOperator((2, 2, 3), (None, None, None))
    y = SlicesInTime(same, (None,), instants(times, 2), 0)(series([5.0, 7.0]))
    assert torch.equal(y[0, 0], torch.full((2, 3), 5.0, dtype=torch.float64))
    assert torch.equal(y[0, 1], torch.full((2, 3), 7.0, dtype=torch.float64))


@pytest.mark.parametrize(("time", "expected"), [(-3.0, 4.0), (9.0, 6.0)])
def test_before_the_first_and_after_the_last_frame_the_image_stays(time, expected):
    operator = SlicesInTime(SAME, (None,), instants(np.full((1, 3), time), 3), 2)
    assert float(operator(series([4.0, 5.0, 6.0]))[0, 0, 0, 0]) == pytest.approx(expected)


def test_slices_at_the_times_of_frames_need_one_frame_each():
    found = instants(np.array([[0.0, 0.0], [2.0, 2.0]]), 4)
    assert found.first == (0, 2)
    assert found.weights.shape == (2, 1, 2)
    assert torch.equal(found.weights, torch.ones(2, 1, 2, dtype=torch.float64))
