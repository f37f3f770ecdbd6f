import pytest
import torch

from inversesr.solvers.latent.score import prior_gradient
from tests.support.problems import (
    EITHER,
    gaussian_case,
    generator,
    one_thread,  # noqa: F401  (a fixture)
    tiny_prior,
)


@EITHER
@pytest.mark.parametrize("sigma_t", [0.1, 1.0, 4.0])
def test_for_a_gaussian_it_is_the_exact_slope_whatever_the_noise(sigma_t, noise):
    prior, _, z = gaussian_case(noise=noise)
    signal, spread = prior.schedule.level(prior.schedule.timestep_of(sigma_t))
    expected = z / (prior.inner.variance + (spread / signal) ** 2)
    for seed in (0, 1):
        found = prior_gradient(prior, z, sigma_t, generator(seed))
        assert torch.allclose(found.double(), expected.double(), rtol=1e-3, atol=1e-4)


def test_it_asks_the_denoiser_twice_and_keeps_no_gradient():
    prior = tiny_prior()
    z = torch.zeros(prior.latent_shape, requires_grad=True)
    found = prior_gradient(prior, z, 0.5, generator())
    assert prior.counts == {"denoise": 2}
    assert not found.requires_grad
