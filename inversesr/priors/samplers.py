"""Samplers: which timesteps are visited, and deterministic steps along them.

    z_s = signal[s] * z0 + noise[s] * eps_hat    (a step from t to s; DDIM, or Euler of a flow)

A path is a list of timesteps in which each step takes its end from the next entry, so no step
length is ever assumed.

Reference: Song, Meng, Ermon (2021), Denoising diffusion implicit models, arXiv:2010.02502.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from inversesr.errors import InputError
from inversesr.priors.schedule import CLEAN, Schedule, noise_of

Denoiser = Callable[[Tensor, int], Tensor]


def timestep_path(
    schedule: Schedule, n_steps: int, spacing: str | None = None, n_voxels: int | None = None
) -> list[int]:
    """Choose the timesteps of a sampler.

    - `leading`: 0, c, 2c, ... with c = n_levels // n_steps, as in `generative` and MONAI <= 1.5;
    - `linspace`: evenly from 0 to the noisiest, both included, as MONAI >= 1.6 chooses;
    - `trailing`: evenly, the noisiest included, as rectified flows are sampled;
    - `inversesr`: 1, 1 + c, ... and down to 0 instead of clean, as the published InverseSR; when
      n_steps does not divide n_levels it makes more steps than were asked for, as that does.

    Args:
        schedule: The noise levels.
        n_steps: Number of denoiser calls, 1 to n_levels.
        spacing: One of the names above; None takes the schedule's own.
        n_voxels: Voxels of the latent, by which a schedule with `base_voxels` moves the timesteps
            towards noise; None leaves them where they are.

    Returns:
        Falling timesteps, the noisiest first; the last is where sampling ends (CLEAN, or 0).
        Those that coincide after they were moved stand there once.

    Raises:
        InputError: an impossible number of steps or an unknown spacing.
    """
    spacing = spacing or schedule.spacing
    top = schedule.n_levels - 1
    # level 0 of a flow is already clean
    end = 0 if schedule.prediction == "flow" else CLEAN
    if not 1 <= n_steps <= top - end or (spacing == "inversesr" and 2 * n_steps > top + 1):
        message = f"{n_steps} steps were asked for; spacing {spacing!r} allows 1 to {top - end}"
        if spacing == "inversesr":
            message = f"{n_steps} steps were asked for; spacing 'inversesr' allows at most half"
        raise InputError(message)
    rising = _rising(spacing, n_steps, top, end)
    if end == 0 and spacing in {"leading", "inversesr"}:
        message = f"spacing {spacing!r} does not fit a flow; expected 'trailing' or 'linspace'"
        raise InputError(message)
    if schedule.base_voxels is not None and n_voxels is not None:
        rising = _towards_noise(rising, top, (n_voxels / schedule.base_voxels) ** (1.0 / 3.0))
    return [*reversed(rising), 0 if spacing == "inversesr" else end]


def _towards_noise(rising: list[int], top: int, ratio: float) -> list[int]:
    """Move timesteps t = top u to top r u / (1 + (r - 1) u): noise to signal grows by r.

    A large latent needs more noise than a small one to lose the same structure.

    Reference: Esser et al. (2024), Scaling rectified flow transformers, arXiv:2403.03206; as in
    MONAI's RFlowScheduler with use_timestep_transform.
    """
    shares = [t / top for t in rising]
    moved = {round(top * ratio * u / (1.0 + (ratio - 1.0) * u)) for u in shares}
    return sorted(moved - {0})


def _rising(spacing: str, n_steps: int, top: int, end: int) -> list[int]:
    """List the timesteps from the cleanest to the noisiest."""
    stride = (top + 1) // n_steps
    if spacing == "leading":
        return [i * stride for i in range(n_steps)]
    if spacing == "linspace":
        first = end + 1
        return [round(first + (top - first) * i / max(n_steps - 1, 1)) for i in range(n_steps)]
    if spacing == "trailing":
        return [round(end + (top - end) * (i + 1) / n_steps) for i in range(n_steps)]
    if spacing == "inversesr":
        return list(range(1, top + 1, stride))
    message = f"timestep spacing is {spacing!r}; expected leading, linspace, trailing or inversesr"
    raise InputError(message)


def ddim_step(
    schedule: Schedule,
    z_t: Tensor,
    z0: Tensor,
    step: tuple[int, int],
    eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Go from one timestep to another, given the clean latent expected at the first.

    Args:
        schedule: The noise levels.
        z_t: Latent at the first timestep.
        z0: Clean latent expected from it.
        step: (from, to); `to` may be noisier (inversion) when eta is 0.
        eta: 0 is deterministic, 1 has the noise of ancestral sampling.
        generator: Source of the noise, needed when eta is above 0.

    Returns:
        Latent at the second timestep.
    """
    t, s = step
    (signal_t, noise_t), (signal_s, noise_s) = schedule.level(t), schedule.level(s)
    if noise_s == 0.0:
        return signal_s * z0
    fresh = 0.0
    if eta > 0.0:
        ratio = signal_t / signal_s
        fresh = eta * noise_s / noise_t * math.sqrt(max(noise_t**2 - (ratio * noise_s) ** 2, 0.0))
    kept = math.sqrt(max(noise_s**2 - fresh**2, 0.0))
    z_s = signal_s * z0 + kept * noise_of(schedule, z_t, z0, t)
    if fresh > 0.0:
        eps = torch.randn(z_t.shape, generator=generator, device=z_t.device, dtype=z_t.dtype)
        z_s = z_s + fresh * eps
    return z_s


def ddim(
    schedule: Schedule,
    denoise: Denoiser,
    z_t: Tensor,
    path: list[int],
    eta: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Follow a path from its first timestep to its last.

    Args:
        schedule: The noise levels.
        denoise: (z_t, t) -> clean latent.
        z_t: Latent at path[0].
        path: Falling timesteps, see `timestep_path`.
        eta: See `ddim_step`.
        generator: See `ddim_step`.

    Returns:
        Latent at path[-1].
    """
    for step in pairwise(path):
        z_t = ddim_step(schedule, z_t, denoise(z_t, step[0]), step, eta, generator)
    return z_t


def ddim_invert(
    schedule: Schedule, denoise: Denoiser, z: Tensor, path: list[int], n_corrections: int = 0
) -> Tensor:
    """Follow a path backwards: find the noisy latent from which `ddim` leads to z.

    Each step needs the denoiser at the noisier end, which is not known yet: it is evaluated at
    the current estimate, then corrected by fixed-point iterations.

    Args:
        schedule: The noise levels.
        denoise: (z_t, t) -> clean latent.
        z: Latent at path[-1].
        path: Falling timesteps, see `timestep_path`.
        n_corrections: Fixed-point iterations a step; 0 is the usual first-order inversion.

    Returns:
        Latent at path[0].

    Reference: Mokady et al. (2023), Null-text inversion, arXiv:2211.09794; Pan et al. (2023),
    Effective real image editing with accelerated iterative diffusion inversion, arXiv:2309.04907.
    """
    for t, s in reversed(list(pairwise(path))):
        z_t = z
        (signal_t, noise_t), (signal_s, noise_s) = schedule.level(t), schedule.level(s)
        for _ in range(1 + n_corrections):
            eps = noise_of(schedule, z_t, denoise(z_t, t), t)
            z_t = signal_t / signal_s * z + (noise_t - signal_t / signal_s * noise_s) * eps
        z = z_t
    return z
