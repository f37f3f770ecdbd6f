from dataclasses import replace

import pytest
import torch

from inversesr.priors.samplers import ddim, timestep_path
from inversesr.solvers.latent.chain import short_path
from inversesr.solvers.latent.few_step_noise import FewStepNoise, few_step_noise, noise_penalty
from tests.support.problems import (
    FLOW_SLOWLY,
    gaussian_case,
    generator,
    one_thread,  # noqa: F401  (a fixture)
    quiet,
    tiny_case,
)


@FLOW_SLOWLY
def test_it_finds_the_most_probable_image_of_what_the_chain_makes_of_noise(noise):
    prior, problem, _ = gaussian_case(sigma=0.05, noise=noise)
    options = FewStepNoise(noise_term="gaussian", n_steps=300, learning_rate=0.05)
    found = few_step_noise(problem, prior, options, generator(), quiet)
    # with this denoiser the chain multiplies each wave by a factor: a Gaussian prior of its own
    path = short_path(prior.schedule, prior.schedule.timestep_of(8.0), 4)
    factors = ddim(prior.schedule, prior.denoise, torch.ones(prior.latent_shape), path)
    chain = replace(prior.inner, variance=factors.double() ** 2)
    closed = chain.posterior(problem.A, problem.y, 0.05).mean.reshape(prior.latent_shape)
    assert float((found.z - closed).norm() / closed.norm()) < 1e-3


def test_with_many_steps_the_chain_is_the_probability_flow_of_the_prior():
    prior, _, _ = gaussian_case()
    # z = sqrt(S) u, but for the first level, whose noise is 0.04
    path = timestep_path(prior.schedule, 1000)
    factors = ddim(prior.schedule, prior.denoise, torch.ones(prior.latent_shape), path)
    assert torch.allclose(factors, prior.inner.variance.sqrt().float(), rtol=0.05)


def test_the_shell_pulls_the_noise_to_its_expected_length():
    u = torch.full((40,), 0.3, requires_grad=True)
    for _ in range(200):
        (slope,) = torch.autograd.grad(noise_penalty(u, "shell"), u)
        u = (u - 0.05 * slope).detach().requires_grad_()
    # the most probable length of n normal numbers is sqrt(n - 1)
    assert float(u.detach().norm()) == pytest.approx(39.0**0.5, rel=1e-3)


def test_lean_and_stock_backends_give_the_same_image_and_the_misfit_falls():
    images = []
    for backend in ("lean", "stock"):
        prior, problem = tiny_case(backend)
        options = FewStepNoise(backend=backend, n_steps=3, n_denoiser_steps=2)
        found = few_step_noise(problem, prior, options, generator(), quiet)
        misfits = found.history["misfit_over_noise"]
        assert misfits[-1] < misfits[0]
        images.append(found.x)
    assert torch.allclose(images[0], images[1], atol=1e-3)


def test_each_step_of_the_chain_is_computed_twice_to_be_kept_never():
    counted = {}
    for backend in ("lean", "stock"):
        prior, problem = tiny_case(backend)
        options = FewStepNoise(backend=backend, n_steps=1, n_denoiser_steps=2)
        few_step_noise(problem, prior, options, generator(), quiet)
        counted[backend] = prior.counts["denoise"]
    assert counted["lean"] == counted["stock"] + 2
