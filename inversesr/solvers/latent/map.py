"""The most probable latent: gradient descent through the decoder from the plug-and-play result.

    z* = argmin  |A x - y|^2 / (2 s^2) + |x - warm|^2 / (2 s_w^2) + w d(A x) - lambda log p(z)

x = x(z), and the term of the warm start is missing without one.
s^2 = sigma^2 + r_AE^2 when images are G(z); with delta decoding the autoencoder's error cancels
and s = sigma. Blind, it also fits the slice width, a smooth bias field, gain and offset.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from inversesr.config import option
from inversesr.measurements.protocol import Measurement
from inversesr.priors.instrumented import InstrumentedPrior
from inversesr.protocols import Solution
from inversesr.solvers import options as shared
from inversesr.solvers.entry import LATENT, SolverEntry
from inversesr.solvers.latent.descent import Plan, descend
from inversesr.solvers.latent.features import PerceptualTerm, perceptual_term
from inversesr.solvers.latent.nuisance import Nuisance, fit_nuisance, fit_slice_width
from inversesr.solvers.latent.pnp import LatentPnP, latent_pnp
from inversesr.solvers.latent.problem import Decoding, Problem, finish, make_decoding
from inversesr.solvers.latent.runner import restore_with, with_noise_levels
from inversesr.solvers.latent.score import prior_gradient
from inversesr.solvers.setup import Setup

N_STEPS, LEARNING_RATE = 60, 0.02
PERCEPTUAL_WEIGHT = 0.0
# The stop is not asked before: the start may fit the noise already.
LEAST_STEPS = 10
# Blind fits are renewed after this many steps.
REFIT_EVERY = 10


@dataclass(eq=False)
class _Descent:
    """State that changes along the way.

    Attributes:
        problem: The problem, its slice width as fitted so far.
        decoding: Latent to image.
        nuisance: Gain, offset and bias field as fitted so far.
        width: Factor of the slice thickness as fitted so far.
        misfits: rms(A x - y) over sigma before each step.
    """

    problem: Problem
    decoding: Decoding
    nuisance: Nuisance = field(default_factory=Nuisance)
    width: float = 1.0
    misfits: list[float] = field(default_factory=list)

    def image(self, z: Tensor) -> Tensor:
        return self.decoding(z, self.nuisance.gain, self.nuisance.offset)


@dataclass(frozen=True)
class LatentMAP:
    """Options of `latent-map`.

    Raises:
        InputError: a value is outside its range.
    """

    backend: str = shared.backend()
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
    n_steps: int = shared.n_steps(N_STEPS)
    learning_rate: float = shared.learning_rate(LEARNING_RATE)
    prior_weight: float = shared.prior_weight()
    prior_sigma: float = option(0.5, "Noise-to-signal ratio at which the prior is asked.", above=0)
    perceptual_weight: float = shared.perceptual_weight(PERCEPTUAL_WEIGHT)
    features_file: str | None = shared.features_file()
    blind: bool = option(False, "Fit slice width and bias field.")  # noqa: FBT003
    stop_at_noise: bool = option(True, "Stop when the misfit is noise.")  # noqa: FBT003

    def __post_init__(self) -> None:
        shared.check(self)

    def of_start(self) -> LatentPnP:
        """Return the options of the plug-and-play result that the descent starts from."""
        return LatentPnP(**{f.name: getattr(self, f.name) for f in fields(LatentPnP)})


def latent_map(
    problem: Problem,
    prior: InstrumentedPrior,
    options: LatentMAP,
    generator: torch.Generator,
    progress: Callable[[int, int], None],
) -> Solution:
    """Refine the plug-and-play result until the scan is met to its noise.

    Args:
        problem: The scan and where the prior lies.
        prior: The prior.
        options: Those of `latent_pnp`, and `n_steps`, `learning_rate`, `prior_weight`,
            `prior_sigma`, `warm_sd`, `perceptual_weight`, `features_file`, `blind`,
            `stop_at_noise`.
        generator: Source of the noise.
        progress: Called with the number of steps done and their total.
    """
    first = latent_pnp(problem, prior, options.of_start(), generator, lambda _done, _total: None)
    if first.z is None:
        message = "latent_pnp returns its latent"
        raise TypeError(message)
    term = perceptual_term(problem, prior, options)
    state = _Descent(problem, make_decoding(problem, prior, delta=options.delta))
    if options.fit_gain:
        state.nuisance = fit_nuisance(problem, prior.decode(first.z))
    z = first.z.clone().requires_grad_()
    step = _objective(state, z, term, options, generator)
    plan = Plan(options.n_steps, options.learning_rate, True)  # noqa: FBT003

    def is_done(n_done: int) -> bool:
        if options.blind and n_done % REFIT_EVERY == 0:
            _refit(state, z.detach())
        return options.stop_at_noise and n_done >= LEAST_STEPS and state.misfits[-1] <= 1.0

    losses = descend([z], step, plan, is_done, progress)
    with torch.no_grad():
        x = state.image(z.detach())
    is_met = state.misfits[-1] <= 1.0
    facts = {**state.nuisance.facts, "slice_width_factor": state.width, "features": term.name}
    facts |= {"passes": dict(prior.counts)}
    status = "converged" if is_met else f"stopped after {len(losses)} steps"
    history = {"loss": losses, "misfit_over_noise": state.misfits}
    return Solution(
        finish(problem, x),
        status,
        len(losses),
        history,
        z.detach(),
        facts=facts,
        thickness_factor=state.width,
    )


def _objective(
    state: _Descent,
    z: Tensor,
    term: PerceptualTerm,
    options: LatentMAP,
    generator: torch.Generator,
) -> Callable[[], tuple[float, Sequence[Tensor]]]:
    """Return a function that gives data and feature loss, and the gradient of the whole."""
    prior = state.decoding.prior
    weight = options.perceptual_weight
    error = 0.0 if options.delta else prior.reconstruction_rmse

    def evaluate() -> tuple[float, Sequence[Tensor]]:
        problem = state.problem
        x = state.image(z)
        y_of_x = problem.A(x)
        squares = (y_of_x - problem.y).square().sum()
        mean_square = float(squares.detach()) / problem.y.numel()
        state.misfits.append(mean_square**0.5 / problem.data_sigma)
        loss = 0.5 * squares / (problem.data_sigma**2 + error**2) + weight * term(y_of_x)
        if problem.warm is not None:
            loss = loss + 0.5 * (x - problem.warm).square().sum() / options.warm_sd**2
        (gradient,) = torch.autograd.grad(loss, z)
        pull = prior_gradient(prior, z.detach(), options.prior_sigma, generator)
        return float(loss.detach()), (gradient + options.prior_weight * pull,)

    return evaluate


@torch.no_grad()
def _refit(state: _Descent, z: Tensor) -> None:
    """Fit bias field, gain, offset and slice width to the present image."""
    decoded = state.decoding.prior.decode(z)
    state.problem, state.nuisance, state.width = fit_slice_width(
        state.problem, decoded, state.width
    )


def restore(task: Measurement, setup: Setup) -> Solution:
    """Restore a scan; see `latent_map`."""
    return restore_with(latent_map, task, setup)


SOLVER = SolverEntry(
    "The most probable latent, by gradient descent from the plug-and-play result.",
    LatentMAP,
    restore,
    networks=LATENT,
    needs_encoder=True,
    steps="n_steps",
    complete=with_noise_levels,
)
