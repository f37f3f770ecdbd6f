"""Restoration through a short deterministic chain: find the noise that it turns into the image.

    u* = argmin  |A G(z_0(u)) - y|^2 / (2 s^2) + lambda R(u),     z_0(u) = DDIM(u), four steps
    R(u) = |u|^2 / 2 - (n - 1) log |u|     the length of a Gaussian vector (shell), or |u|^2 / 2

u starts at the noise that the chain turns into the first guess, and each step of the chain is
recomputed in the backward pass.

Reference: Ben-Hamu, Puny, Gat, Karrer, Singer, Lipman (2024), D-Flow: differentiating through
flows for controlled generation, arXiv:2402.14017; Samuel et al. (2023), Norm-guided latent space
exploration for text-to-image generation, arXiv:2306.08687.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inversesr.config import option
from inversesr.measurements.protocol import Measurement
from inversesr.priors.instrumented import InstrumentedPrior
from inversesr.priors.samplers import ddim_invert
from inversesr.protocols import Solution
from inversesr.solvers import options as shared
from inversesr.solvers.entry import LATENT, SolverEntry
from inversesr.solvers.latent.chain import differentiable_chain, short_path, start_levels
from inversesr.solvers.latent.descent import Plan, by_autograd, descend
from inversesr.solvers.latent.problem import Problem, finish, start_latent
from inversesr.solvers.latent.runner import restore_with, with_noise_levels
from inversesr.solvers.setup import Setup

N_STEPS, LEARNING_RATE = 60, 0.05
# Fixed-point iterations that make the inversion of so few steps exact enough.
N_CORRECTIONS = 3


@dataclass(frozen=True)
class FewStepNoise:
    """Options of `few-step-noise`.

    Raises:
        InputError: a value is outside its range.
    """

    backend: str = shared.backend()
    n_steps: int = shared.n_steps(N_STEPS)
    learning_rate: float = shared.learning_rate(LEARNING_RATE)
    sigma_high: float | None = shared.sigma_high()
    n_denoiser_steps: int = shared.n_denoiser_steps()
    prior_weight: float = shared.prior_weight()
    noise_term: str = option("shell", "Prior of the noise.", choices=("shell", "gaussian"))
    surprise: bool = shared.surprise()
    adapt_steps: int = shared.adapt_steps()
    n_mirrors: int = shared.n_mirrors()

    def __post_init__(self) -> None:
        shared.check(self)


def few_step_noise(
    problem: Problem,
    prior: InstrumentedPrior,
    options: FewStepNoise,
    generator: torch.Generator,  # noqa: ARG001  (the start is the first guess: nothing is random)
    progress: Callable[[int, int], None],
) -> Solution:
    """Optimise the noise of a chain of a few steps, warm-started by inversion.

    Args:
        problem: The scan and where the prior lies.
        prior: The prior.
        options: `n_denoiser_steps`, `n_steps`, `learning_rate`, `prior_weight`, `noise_term`.
        generator: Unused.
        progress: Called with the number of steps done and their total.
    """
    schedule = prior.schedule
    high = options.sigma_high or start_levels(is_warm=problem.warm is not None)[1]
    path = short_path(schedule, schedule.timestep_of(high), options.n_denoiser_steps)
    signal, noise = schedule.level(path[0])
    with torch.no_grad():
        z = start_latent(problem, prior)
        u = ddim_invert(schedule, prior.denoise, z, path, N_CORRECTIONS)
    u.requires_grad_()
    variance = problem.data_sigma**2 + prior.reconstruction_rmse**2
    misfits: list[float] = []

    def latent() -> Tensor:
        return differentiable_chain(prior, u, path, None, keep=options.backend == "stock")

    def objective() -> Tensor:
        squares = (problem.A(problem.compose(prior.decode(latent()))) - problem.y).square().sum()
        misfits.append(float(squares.detach() / problem.y.numel()) ** 0.5 / problem.data_sigma)
        return 0.5 * squares / variance + options.prior_weight * noise_penalty(
            u, options.noise_term
        )

    plan = Plan(options.n_steps, options.learning_rate, True)  # noqa: FBT003
    losses = descend([u], by_autograd([u], objective), plan, progress=progress)
    with torch.no_grad():
        z = latent()
        x = problem.compose(prior.decode(z))
    length = float(u.detach().norm()) / u.numel() ** 0.5
    facts = {"noise_length": length, "noise_level": noise / signal, "passes": dict(prior.counts)}
    history = {"loss": losses, "misfit_over_noise": misfits}
    status = f"stopped after {len(losses)} steps"
    return Solution(finish(problem, x), status, len(losses), history, z, facts=facts)


def noise_penalty(u: Tensor, kind: str) -> Tensor:
    """Return -log of the density of a standard normal vector's length, or of the vector itself.

    Args:
        u: Noise.
        kind: "shell" or "gaussian".
    """
    squares = u.square().sum()
    if kind == "gaussian":
        return 0.5 * squares
    return 0.5 * squares - (u.numel() - 1) * 0.5 * squares.clamp_min(1e-12).log()


def restore(task: Measurement, setup: Setup) -> Solution:
    """Restore a scan; see `few_step_noise`."""
    return restore_with(few_step_noise, task, setup)


SOLVER = SolverEntry(
    "The noise that a short deterministic chain turns into the image.",
    FewStepNoise,
    restore,
    networks=LATENT,
    needs_encoder=True,
    steps="n_steps",
    complete=with_noise_levels,
)
