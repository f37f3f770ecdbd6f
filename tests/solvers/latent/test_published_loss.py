import pytest
import torch

from inversesr.solvers.latent.inversesr_dec import InverseSRDecoder
from inversesr.solvers.latent.published_loss import published_loss
from tests.support.problems import gaussian_case, one_thread, tiny_case  # noqa: F401  (a fixture)


@pytest.mark.parametrize(("penalty", "expected"), [("l1", 0.5), ("l2", 0.25)])
def test_without_features_it_is_the_mean_misfit(penalty, expected):
    prior, problem, z = gaussian_case(sigma=0.0)
    loss = published_loss(problem, prior, InverseSRDecoder(data_term=penalty))
    assert float(loss(prior.inner.decode(z) + 0.5)) == pytest.approx(expected, rel=1e-4)


def test_features_enter_with_the_published_weight_unless_another_is_chosen():
    prior, problem = tiny_case(sigma=0.0)
    x = problem.s + 0.1 * torch.sin(torch.arange(16.0))
    losses = {}
    for weight in (0.0, 1e4):
        loss = published_loss(problem, prior, InverseSRDecoder(perceptual_weight=weight))
        losses[weight] = float(loss(x))
    assert float(published_loss(problem, prior, InverseSRDecoder())(x)) == losses[1e4]
    distance = float(published_loss(problem, prior, InverseSRDecoder()).perceptual(problem.A(x)))
    assert losses[1e4] - losses[0.0] == pytest.approx(1e4 * distance, rel=1e-3)
