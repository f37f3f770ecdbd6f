"""Posterior samples by split Gibbs: image and latent are drawn in turn, ever more tightly bound.

    x | z, y  ~  N(x; G(z), r^2) N(y; A x, sigma^2)          exact, in closed form
    z | x     ~  p(z) N(E(V x); z, sigma_t^2)                a few denoising steps from sigma_t

r^2 = r_AE^2 + (kappa s_x sigma_t)^2 falls with sigma_t. Of the noise that z needs, the part that x
brings through the encoder is not added again.

Reference: Vono, Dobigeon, Chainais (2019), Split-and-augmented Gibbs sampler, IEEE Transactions
on Signal Processing 67(6):1648-1661, doi:10.1109/TSP.2019.2894825; Wu, Sun, Chen, Zhang, Yue,
Bouman (2024), Principled probabilistic imaging using diffusion models as plug-and-play priors,
arXiv:2405.18782.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inversesr.config import option
from inversesr.measurements.protocol import Measurement
from inversesr.operators.proximal import prox, sample_posterior
from inversesr.priors.instrumented import InstrumentedPrior
from inversesr.protocols import Solution
from inversesr.solvers import options as shared
from inversesr.solvers.entry import LATENT, SolverEntry
from inversesr.solvers.latent.chain import draw, noise_levels, sample_clean, short_path
from inversesr.solvers.latent.nuisance import Nuisance, fit_nuisance
from inversesr.solvers.latent.pnp import latent_change
from inversesr.solvers.latent.problem import Decoding, Problem, finish, make_decoding, start_latent
from inversesr.solvers.latent.runner import restore_with, with_noise_levels
from inversesr.solvers.setup import Setup


@dataclass(frozen=True)
class SplitGibbs:
    """Options of `split-gibbs`.

    Raises:
        InputError: a value is outside its range.
    """

    n_samples: int = option(8, "Samples drawn from the posterior.", least=1)
    n_levels: int | None = shared.n_levels()
    sigma_high: float | None = shared.sigma_high()
    sigma_low: float = shared.sigma_low()
    n_denoiser_steps: int = shared.n_denoiser_steps()
    kappa: float = shared.kappa()
    image_sd: float = shared.image_sd()
    fit_gain: bool = shared.fit_gain()
    delta: bool = shared.delta()
    encoder_noise_gain: float = option(
        0.0, "Latent noise made by white image noise of deviation 1.", least=0
    )
    surprise: bool = shared.surprise()
    adapt_steps: int = shared.adapt_steps()
    n_mirrors: int = shared.n_mirrors()

    def __post_init__(self) -> None:
        shared.check(self)


@torch.no_grad()
def split_gibbs(
    problem: Problem,
    prior: InstrumentedPrior,
    options: SplitGibbs,
    generator: torch.Generator,
    progress: Callable[[int, int], None],
) -> Solution:
    """Draw images from the posterior, each by a chain of its own.

    Args:
        problem: The scan and where the prior lies.
        prior: The prior.
        options: `n_samples`, and those of `latent_pnp` but `rho`; `encoder_noise_gain`.
        generator: Source of randomness.
        progress: Called with the number of samples done and their total.

    Returns:
        The mean image, the samples, and their latents stacked.
    """
    decoding = make_decoding(problem, prior, delta=options.delta)
    start = start_latent(problem, prior)
    images, latents, misfits = [], [], []
    for n_done in range(1, options.n_samples + 1):
        z, nuisance = _chain(problem, prior, start, options, generator)
        x = _agreeing(decoding, z, nuisance, options, generator)
        images.append(finish(problem, x))
        latents.append(z)
        misfits.append(problem.misfit(x))
        progress(n_done, options.n_samples)
    samples = torch.stack(images)
    n_steps = options.n_samples * len(noise_levels(options, is_warm=problem.warm is not None))
    return Solution(
        samples.mean(dim=0),
        f"{options.n_samples} samples",
        n_steps,
        {"misfit_over_noise": misfits},
        torch.stack(latents),
        samples,
        {"passes": dict(prior.counts)},
    )


def _chain(
    problem: Problem,
    prior: InstrumentedPrior,
    z: Tensor,
    options: SplitGibbs,
    generator: torch.Generator,
) -> tuple[Tensor, Nuisance]:
    """Run one chain from the first guess and return its last latent."""
    schedule, nuisance = prior.schedule, Nuisance()
    for sigma_t in noise_levels(options, is_warm=problem.warm is not None):
        t = schedule.timestep_of(sigma_t)
        signal, noise = schedule.level(t)
        decoded = prior.decode(z)
        nuisance = fit_nuisance(problem, decoded) if options.fit_gain else nuisance
        x0 = problem.compose(decoded, nuisance.gain, nuisance.offset)
        r2 = (
            prior.reconstruction_rmse**2 + (options.kappa * options.image_sd * noise / signal) ** 2
        )
        variances = (r2, problem.data_sigma**2)
        x = sample_posterior(problem.A, x0, problem.y, variances, generator).x
        seen = z + latent_change(problem, prior, (x, x0), decoded, nuisance)
        brought = options.encoder_noise_gain**2 * r2
        missing = max((noise / signal) ** 2 - brought, 0.0) ** 0.5
        z_t = signal * (seen + missing * draw(prior.latent_shape, z, generator))
        path = short_path(schedule, t, options.n_denoiser_steps)
        z = sample_clean(prior, z_t, path, generator)
    return z, nuisance


def _agreeing(
    decoding: Decoding,
    z: Tensor,
    nuisance: Nuisance,
    options: SplitGibbs,
    generator: torch.Generator,
) -> Tensor:
    """Return the image of a latent, made to agree with the scan as it might have been measured.

    Drawing the noise anew leaves the samples as far apart along what was measured as the noise
    of the scan allows.
    """
    problem = decoding.problem
    x = decoding(z, nuisance.gain, nuisance.offset)
    again = problem.y + problem.sigma * draw(problem.A.out_shape, problem.y, generator)
    return prox(problem.A, x, again, options.image_sd**2, problem.data_sigma**2).x


def restore(task: Measurement, setup: Setup) -> Solution:
    """Restore a scan; see `split_gibbs`."""
    return restore_with(split_gibbs, task, setup)


SOLVER = SolverEntry(
    "Posterior samples: image and latent are drawn in turn.",
    SplitGibbs,
    restore,
    networks=LATENT,
    needs_encoder=True,
    draws_samples=True,
    steps="n_samples",
    calibration="sd_factor",
    complete=with_noise_levels,
)
