import pytest
import torch

from inversesr.solvers.latent.descent import Plan, by_autograd, descend


def test_it_goes_down_to_the_minimum():
    v = torch.tensor([3.0, -2.0], requires_grad=True)
    target = torch.tensor([1.0, 1.0])
    losses = descend(
        [v], by_autograd([v], lambda: (v - target).square().sum()), Plan(400, 0.05, is_cosine=True)
    )
    assert torch.allclose(v.detach(), target, atol=1e-3)
    assert losses[0] == pytest.approx(13.0)
    assert len(losses) == 400


def test_the_step_falls_along_half_a_cosine():
    plan = Plan(10, 0.2, is_cosine=True)
    assert plan.rate(0) == pytest.approx(0.2)
    assert plan.rate(5) == pytest.approx(0.1)
    assert 0.0 < plan.rate(9) < 0.01
    assert Plan(10, 0.2).rate(9) == 0.2


def test_it_stops_when_told_and_reports_each_step():
    v = torch.zeros(1, requires_grad=True)
    seen = []
    losses = descend(
        [v],
        by_autograd([v], lambda: (v - 1.0).square().sum()),
        Plan(50, 0.1),
        lambda n_done: n_done == 3,
        lambda *done: seen.append(done),
    )
    assert len(losses) == 3
    assert seen == [(1, 50), (2, 50), (3, 50)]
