"""Total variation in time: optimality, and the noise that is found."""

import pytest
import torch

from inversesr.solvers.temporal.variation import temporal_noise, temporal_variation
from tests.support.laws import normal


def test_the_result_fulfils_the_conditions_of_the_minimum():
    """The running sum of y - u stays within the weight and is at it where u changes."""
    y, weight = normal((30, 5), 0), torch.full((5,), 0.8, dtype=torch.float64)
    u = temporal_variation(y, weight)
    p = torch.cumsum(y - u, dim=0)[:-1]
    change = torch.diff(u, dim=0)
    assert float(p.abs().max()) <= 0.8 + 1e-6
    jumps = change.abs() > 0.02
    assert int(jumps.sum()) > 5
    assert torch.allclose(-0.8 * change[jumps].sign(), p[jumps], atol=0.02)


def test_without_weight_nothing_changes_and_with_much_only_the_mean_is_left():
    y = normal((12, 4), 1)
    assert torch.allclose(temporal_variation(y, torch.zeros(4, dtype=torch.float64)), y)
    flat = temporal_variation(y, torch.full((4,), 50.0, dtype=torch.float64))
    assert torch.allclose(flat, y.mean(dim=0).expand_as(y), atol=0.02)


def test_noise_is_found_beside_a_slow_course():
    slow = 5.0 * torch.sin(torch.arange(400.0) / 40.0)
    y = slow[:, None] + 2.0 * normal((400, 20), 2, torch.float32)
    assert float(temporal_noise(y).mean()) == pytest.approx(2.0, rel=0.05)
