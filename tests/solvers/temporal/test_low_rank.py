"""Noise is taken from courses, and courses are kept."""

import pytest
import torch

from inversesr.solvers.temporal.low_rank import low_rank, median_of_noise
from tests.support.laws import normal


def test_nothing_is_kept_of_noise_and_its_size_is_found():
    found = low_rank(2.0 * normal((30, 12, 12, 6), 0, torch.float32))
    assert float(found.x.square().mean().sqrt()) < 0.25
    assert float(found.sigma.mean()) == pytest.approx(2.0, rel=0.03)


def test_a_course_of_a_small_region_is_kept_and_its_noise_is_not():
    course = torch.sin(torch.arange(40.0))
    truth = torch.zeros(40, 12, 12, 6)
    truth[:, 3:7, 3:7, 1:4] = 2.0 * course[:, None, None, None]
    y = truth + 0.5 * normal(truth.shape, 1, torch.float32)
    found = low_rank(y)
    noise = (y - truth).square().mean()
    assert float((found.x - truth).square().mean() / noise) < 0.15
    inside = found.x[:, 4:6, 4:6, 2].mean(dim=(1, 2))
    assert float((inside @ course) / (course @ course)) == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("axis", [0, 1])
def test_slices_may_lie_along_any_axis(axis):
    y = normal((10, 8, 8, 4), 2, torch.float32)
    turned = low_rank(y.movedim(-1, axis + 1), axis)
    assert torch.allclose(turned.x.movedim(axis + 1, -1), low_rank(y).x, atol=1e-5)


def test_short_series_and_small_images_are_taken():
    found = low_rank(normal((3, 2, 3, 1), 3, torch.float32))
    assert found.x.shape == (3, 2, 3, 1)
    assert bool(found.x.isfinite().all())


@pytest.mark.parametrize(("n", "m"), [(60, 240), (400, 400)])
def test_the_median_of_noise_is_that_of_random_matrices(n, m):
    s = torch.linalg.svdvals(normal((n, m), 4))
    expected = float(s.square().median() / m)
    assert median_of_noise(n / m) == pytest.approx(expected, rel=0.04)
