"""Walks along a prior's noise levels, shared by solvers: levels, short paths, samples."""

import math
from itertools import pairwise

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from inversesr.priors.instrumented import InstrumentedPrior
from inversesr.priors.samplers import ddim, ddim_step, timestep_path
from inversesr.priors.schedule import CLEAN, Schedule
from inversesr.protocols import Shape
from inversesr.solvers.latent.needs import NoiseLevels, Spread

# A chain ends where noise is a twentieth of the signal: below, the denoiser hardly changes it.
LAST_SIGMA = 0.05
# number of noise levels and the largest
FROM_SPLINE, FROM_WARM_START = (8, 8.0), (4, 1.0)
# How far the denoiser is probed, in standard deviations of the noise.
PROBE = 0.1
# Latents are scaled to variances of about 1.
LARGEST_VARIANCE = 1.0
# DDIM steps of the published sampler.
N_SAMPLE_STEPS = 46


def start_levels(*, is_warm: bool) -> tuple[int, float]:
    """Return the number of noise levels and the largest where neither was chosen.

    Args:
        is_warm: Whether a first guess settled already what large noise would decide anew.
    """
    return FROM_WARM_START if is_warm else FROM_SPLINE


def noise_levels(options: NoiseLevels, *, is_warm: bool) -> list[float]:
    """Return noise-to-signal ratios from sigma_high down to sigma_low, in equal ratios.

    Args:
        options: `n_levels`, `sigma_high`, `sigma_low`.
        is_warm: See `start_levels`.
    """
    n_levels, sigma_high = start_levels(is_warm=is_warm)
    n, high = options.n_levels or n_levels, options.sigma_high or sigma_high
    return [high * (options.sigma_low / high) ** (i / max(n - 1, 1)) for i in range(n)]


def short_path(schedule: Schedule, t: int, n_steps: int) -> list[int]:
    """Choose the timesteps of a short chain from t to clean, in equal ratios of the noise.

    Args:
        schedule: The noise levels.
        t: Where the chain begins.
        n_steps: Denoiser calls at the most; fewer where timesteps coincide.
    """
    signal, noise = schedule.level(t)
    high = noise / max(signal, 1e-6)
    if high == 0.0:
        return [t, CLEAN]
    low = min(LAST_SIGMA, high)
    path = [t]
    for i in range(1, n_steps):
        s = schedule.timestep_of(high * (low / high) ** (i / n_steps))
        if s < path[-1]:
            path.append(s)
    return [*path, CLEAN]


def draw(shape: Shape, like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal noise on the device of another tensor."""
    noise = torch.randn(shape, generator=generator, device=generator.device)
    return noise.to(like.device)


def sample_latent(prior: InstrumentedPrior, like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw a latent from the prior by the published number of deterministic steps."""
    n_steps = min(N_SAMPLE_STEPS, prior.schedule.n_levels - 1)
    n_voxels = torch.Size(prior.latent_shape[1:]).numel()
    path = timestep_path(prior.schedule, n_steps, n_voxels=n_voxels)
    noise = draw(prior.latent_shape, like, generator)
    with torch.no_grad():
        return ddim(prior.schedule, prior.denoise, noise, path)


def mean_latent(
    prior: InstrumentedPrior, like: Tensor, n_samples: int, generator: torch.Generator
) -> Tensor:
    """Return the mean of latents drawn from the prior."""
    total = sample_latent(prior, like, generator)
    for _ in range(n_samples - 1):
        total = total + sample_latent(prior, like, generator)
    return total / n_samples


def step_variance(options: Spread, rmse: float, sigma_t: float) -> float:
    """Return r2, how far an image may move from the prior's at a noise level.

    r2 = r_AE^2 + (kappa s_x)^2 sigma_t^2 / (1 + sigma_t^2)
    """
    spread = options.kappa * options.image_sd * sigma_t / math.sqrt(1.0 + sigma_t**2)
    return rmse**2 + spread**2


def differentiable_chain(
    prior: InstrumentedPrior, z_t: Tensor, path: list[int], context: Tensor | None, *, keep: bool
) -> Tensor:
    """Follow a path by DDIM so that the result can be differentiated.

    Args:
        prior: The prior.
        z_t: Latent at path[0].
        path: Falling timesteps.
        context: Conditioning variables as the denoiser sees them, or None.
        keep: Whether what the backward pass needs is kept, or recomputed a step at a time.

    Reference: Chen, Xu, Zhang, Guestrin (2016), Training deep nets with sublinear memory cost,
    arXiv:1604.06174.
    """
    for step in pairwise(path):

        def advance(z: Tensor, c: Tensor | None, step: tuple[int, int] = step) -> Tensor:
            return ddim_step(prior.schedule, z, prior.denoise(z, step[0], c), step)

        if keep or not torch.is_grad_enabled():
            z_t = advance(z_t, context)
        else:
            z_t = checkpoint(advance, z_t, context, use_reentrant=False)
    return z_t


def sample_clean(
    prior: InstrumentedPrior, z_t: Tensor, path: list[int], generator: torch.Generator
) -> Tensor:
    """Draw a clean latent given a noisy one, by a few random steps.

    x_s | x_t  ~  N(c_0 D(x_t) + c_t x_t,  beta~ + c_0^2 Var(x_0 | x_t))

    Few steps with the usual variance beta~ spread too little: they take the clean latent to be
    known. Its variance is noise^2 / signal times the mean slope of the denoiser (Tweedie), found
    by one more call along a random direction; for a Gaussian of equal variances that is exact.

    Args:
        prior: The prior.
        z_t: Latent at path[0].
        path: Falling timesteps.
        generator: Source of randomness.

    Returns:
        Latent at path[-1].

    Reference: Bao, Li, Zhu, Zhang (2022), Analytic-DPM: an analytic estimate of the optimal
    reverse variance in diffusion probabilistic models, arXiv:2201.06503.
    """
    for t, s in pairwise(path):
        (signal_t, noise_t), (signal_s, noise_s) = prior.schedule.level(t), prior.schedule.level(s)
        clean = prior.denoise(z_t, t)
        direction = draw(z_t.shape, z_t, generator)
        moved = prior.denoise(z_t + PROBE * noise_t * direction, t) - clean
        slope = float((moved * direction).mean()) / (PROBE * noise_t)
        # noise that the step adds on the way back from s to t
        added = noise_t**2 - (signal_t / signal_s * noise_s) ** 2
        c_0 = signal_s * added / noise_t**2
        c_t = signal_t / signal_s * noise_s**2 / noise_t**2
        # never more than for a latent of any variance, never less than for a known one
        unknown = min(max(slope * noise_t**2 / max(signal_t, 1e-6), 0.0), LARGEST_VARIANCE)
        variance = added * noise_s**2 / noise_t**2 + c_0**2 * unknown
        z_t = c_0 * clean + c_t * z_t + variance**0.5 * draw(z_t.shape, z_t, generator)
    return z_t
