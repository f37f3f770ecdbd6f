from dataclasses import replace

import pytest
import torch

from inversesr.solvers.latent.split_gibbs import SplitGibbs, split_gibbs
from tests.support.problems import (
    FLOW,
    FLOW_SLOWLY,
    gaussian_case,
    generator,
    one_thread,  # noqa: F401  (a fixture)
    quiet,
    tiny_case,
)


@FLOW_SLOWLY
def test_latents_have_the_mean_and_the_covariance_of_the_posterior(noise):
    n, sigma, r = 80 if noise is FLOW else 200, 0.1, 0.4
    prior, problem, _ = gaussian_case(sigma, noise=noise)
    # one noise level from first to last: a Gibbs sampler whose stationary law is known
    options = SplitGibbs(
        delta=False, fit_gain=False, image_sd=1.0, encoder_noise_gain=1.0,
        sigma_high=r, sigma_low=r, n_levels=10, n_denoiser_steps=8, n_samples=n,
    )  # fmt: skip
    found = split_gibbs(problem, prior, options, generator(), quiet)
    signal, spread = prior.schedule.level(prior.schedule.timestep_of(r))
    # image and latent are bound by r, and A A' = 1/2: the scan seems noisier by r^2 / 2
    seeming = (sigma**2 + 0.5 * (spread / signal) ** 2) ** 0.5
    closed = prior.inner.posterior(problem.A, problem.y, seeming)
    z = found.z.reshape(n, -1).double()
    sd = closed.covariance.diagonal().sqrt()
    assert float(((z.mean(0) - closed.mean) / sd).abs().max()) < 4.0 / n**0.5
    assert float((z.std(0) / sd).mean()) == pytest.approx(1.0, abs=0.05)
    scaled = torch.cov(z.T) / sd[:, None] / sd[None]
    expected = closed.covariance / sd[:, None] / sd[None]
    assert float((scaled - expected).abs().max()) < 5.0 / n**0.5
    # the test could tell this law from the prior's
    assert float((sd / prior.inner.variance.flatten().sqrt()).min()) < 0.6


def test_samples_agree_with_the_scan_to_its_noise_and_differ_elsewhere():
    prior, problem = tiny_case(sigma=0.02)
    options = SplitGibbs(n_samples=3, n_levels=2)
    found = split_gibbs(problem, prior, options, generator(), quiet)
    assert found.samples.shape == (3, *problem.m.shape)
    assert found.history["misfit_over_noise"] == pytest.approx([1.0] * 3, abs=0.15)
    assert torch.allclose(found.x, found.samples.mean(0))
    assert float((found.samples[0] - found.samples[1]).abs().max()) > 0.02
    assert found.status == "3 samples"


def test_a_seed_repeats_the_samples():
    prior, problem = tiny_case()
    options = SplitGibbs(n_samples=1, n_levels=1)
    one, same = (split_gibbs(problem, prior, options, generator(4), quiet) for _ in range(2))
    assert torch.equal(one.samples, same.samples)


def test_samples_have_the_intensities_of_the_scan():
    prior, problem, _ = gaussian_case()
    options = SplitGibbs(n_samples=1, n_levels=1)
    scale = replace(problem.scale, low=-3.0, width=10.0)
    unit, scan = (
        split_gibbs(p, prior, options, generator(), quiet).samples
        for p in (problem, replace(problem, scale=scale))
    )
    assert torch.allclose(scan, 10.0 * unit - 3.0, atol=1e-4)
