"""The prior's own term in an objective: the gradient of -log p, from two denoiser passes.

grad = (z - mean of D(signal z + noise eps) and D(signal z - noise eps)) / sigma_t^2

For a Gaussian with variance S this is z / (S + sigma_t^2) exactly, without any noise, because eps
enters with both signs.

Reference: Mardani, Song, Kautz, Vahdat (2023), A variational perspective on solving inverse
problems with diffusion models, arXiv:2305.04391; Romano, Elad, Milanfar (2017), The little engine
that could: regularization by denoising, arXiv:1611.02862.
"""

import torch
from torch import Tensor

from inversesr.priors.instrumented import InstrumentedPrior
from inversesr.priors.schedule import add_noise
from inversesr.solvers.latent.chain import draw


@torch.no_grad()
def prior_gradient(
    prior: InstrumentedPrior, z: Tensor, sigma_t: float, generator: torch.Generator
) -> Tensor:
    """Return the gradient of -log p(z), p smoothed by noise of deviation sigma_t.

    Args:
        prior: The prior.
        z: Latent.
        sigma_t: Noise-to-signal ratio at which the denoiser is asked.
        generator: Source of the noise.
    """
    schedule = prior.schedule
    t = schedule.timestep_of(sigma_t)
    signal, noise = schedule.level(t)
    eps = draw(prior.latent_shape, z, generator)
    clean = [prior.denoise(add_noise(schedule, z, t, sign * eps), t) for sign in (1.0, -1.0)]
    return (z - 0.5 * (clean[0] + clean[1])) * (signal / noise) ** 2
