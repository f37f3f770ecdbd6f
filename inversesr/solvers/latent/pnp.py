"""Plug-and-play restoration in latent space, without a single gradient.

    z = E(V start)
    at falling noise levels sigma_t:
        z_t = signal z +- noise eps;   z0 = mean of a few DDIM steps from both;   x0 = G(z0)
        r2  = r_AE^2 + (kappa s_x)^2 sigma_t^2 / (1 + sigma_t^2)
        xh  = argmin |x - x0|^2 / r2 + |A x - y|^2 / sigma^2 + |x - warm|^2 / s_w^2
        z   = z0 + rho (E(V xh) - E(V x0))

The difference of two encodings cancels what the autoencoder loses. A warm start is an image of its
own, with an error s_w; without one its term is missing.

Reference: Zhu, Zhang, Liang, Cao, Wen, Timofte, Van Gool (2023), Denoising diffusion models for
plug-and-play image restoration, arXiv:2305.08995, here within the latent space.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inversesr.config import option
from inversesr.measurements.protocol import Measurement
from inversesr.operators.proximal import prox
from inversesr.priors.instrumented import InstrumentedPrior
from inversesr.priors.samplers import ddim
from inversesr.priors.schedule import add_noise
from inversesr.protocols import Solution
from inversesr.solvers import options as shared
from inversesr.solvers.entry import LATENT, SolverEntry
from inversesr.solvers.latent.chain import draw, noise_levels, short_path, step_variance
from inversesr.solvers.latent.nuisance import Nuisance, fit_nuisance
from inversesr.solvers.latent.problem import Problem, finish, make_decoding, start_latent
from inversesr.solvers.latent.runner import restore_with, with_noise_levels
from inversesr.solvers.setup import Setup


@dataclass(frozen=True)
class LatentPnP:
    """Options of `latent-pnp`.

    Raises:
        InputError: a value is outside its range.
    """

    n_levels: int | None = shared.n_levels()
    sigma_high: float | None = shared.sigma_high()
    sigma_low: float = shared.sigma_low()
    n_denoiser_steps: int = shared.n_denoiser_steps()
    kappa: float = shared.kappa()
    image_sd: float = shared.image_sd()
    rho: float = option(1.0, "Share of the data's correction that a latent takes.", above=0)
    antithetic: bool = option(True, "Use noise of both signs.")  # noqa: FBT003
    fit_gain: bool = shared.fit_gain()
    delta: bool = shared.delta()
    warm_sd: float = shared.warm_sd()
    surprise: bool = shared.surprise()
    adapt_steps: int = shared.adapt_steps()
    n_mirrors: int = shared.n_mirrors()

    def __post_init__(self) -> None:
        shared.check(self)


@torch.no_grad()
def latent_pnp(
    problem: Problem,
    prior: InstrumentedPrior,
    options: LatentPnP,
    generator: torch.Generator,
    progress: Callable[[int, int], None],
) -> Solution:
    """Alternate between the prior and the scan while the noise falls.

    Args:
        problem: The scan and where the prior lies.
        prior: The prior.
        options: `n_levels`, `sigma_high`, `sigma_low`, `n_denoiser_steps`, `kappa`, `image_sd`,
            `rho`, `fit_gain`, `delta`, `warm_sd`.
        generator: Source of the noise.
        progress: Called with the number of levels done and their total.
    """
    schedule = prior.schedule
    decoding = make_decoding(problem, prior, delta=options.delta)
    z = start_latent(problem, prior)
    nuisance = Nuisance()
    misfits: list[float] = []
    levels = noise_levels(options, is_warm=problem.warm is not None)
    for n_done, sigma_t in enumerate(levels, start=1):
        t = schedule.timestep_of(sigma_t)
        z0 = _denoised(prior, z, t, options, generator)
        decoded = prior.decode(z0)
        nuisance = fit_nuisance(problem, decoded) if options.fit_gain else nuisance
        x0 = problem.compose(decoded, nuisance.gain, nuisance.offset)
        misfits.append(problem.misfit(x0))
        r2 = step_variance(options, prior.reconstruction_rmse, sigma_t)
        mean, variance = weigh_in_warm_start(problem, x0, r2, options.warm_sd)
        xh = prox(problem.A, mean, problem.y, variance, problem.data_sigma**2).x
        z = z0 + options.rho * latent_change(problem, prior, (xh, x0), decoded, nuisance)
        progress(n_done, len(levels))
    x = decoding(z, nuisance.gain, nuisance.offset)
    facts = {**nuisance.facts, "passes": dict(prior.counts)}
    history = {"misfit_over_noise": [*misfits, problem.misfit(x)]}
    status = f"stopped after {len(levels)} steps"
    return Solution(finish(problem, x), status, len(levels), history, z, facts=facts)


def weigh_in_warm_start(
    problem: Problem, x0: Tensor, r2: float, warm_sd: float
) -> tuple[Tensor, float]:
    """Return mean and variance of what a prior's image and a warm start say together.

    Args:
        problem: The problem, with or without a warm start.
        x0: The prior's image on the fine grid.
        r2: Its variance.
        warm_sd: Standard deviation of the warm start's error.
    """
    if problem.warm is None:
        return x0, r2
    share = r2 / (r2 + warm_sd**2)
    return torch.lerp(x0, problem.warm, share), share * warm_sd**2


def _denoised(
    prior: InstrumentedPrior, z: Tensor, t: int, options: LatentPnP, generator: torch.Generator
) -> Tensor:
    """Add noise and take it away again.

    Noise of both signs makes the mean of what could be there, noise of one sign an example.
    """
    schedule = prior.schedule
    path = short_path(schedule, t, options.n_denoiser_steps)
    eps = draw(prior.latent_shape, z, generator)
    signs = (1.0, -1.0) if options.antithetic else (1.0,)
    ends = [ddim(schedule, prior.denoise, add_noise(schedule, z, t, s * eps), path) for s in signs]
    return sum(ends[1:], ends[0]) / len(ends)


def latent_change(
    problem: Problem,
    prior: InstrumentedPrior,
    to_and_from: tuple[Tensor, Tensor],
    decoded: Tensor,
    nuisance: Nuisance,
) -> Tensor:
    """Return E(V x1) - E(V x0) for two images on the fine grid.

    Args:
        problem: The problem.
        prior: The prior.
        to_and_from: x1 and x0.
        decoded: What the prior sees where the fine grid does not reach.
        nuisance: Gain and offset, which the prior does not see.
    """
    seen = [problem.to_prior(x, decoded, nuisance.gain, nuisance.offset) for x in to_and_from]
    return prior.encode(seen[0]) - prior.encode(seen[1])


def restore(task: Measurement, setup: Setup) -> Solution:
    """Restore a scan; see `latent_pnp`."""
    return restore_with(latent_pnp, task, setup)


SOLVER = SolverEntry(
    "Plug-and-play restoration with a latent diffusion prior, without gradients.",
    LatentPnP,
    restore,
    networks=LATENT,
    needs_encoder=True,
    steps="n_levels",
    complete=with_noise_levels,
)
