"""InverseSR(LDM): find the noise and the conditioning from which the prior samples the image.

(z_T*, c*) = argmin  mean |A G(z_0) - y| + 1e4 d(A G(z_0)),    z_0 = DDIM(z_T, c), 46 steps, eta 0

Reference: Wang, Levman, Pinaya, Tudosiu, Cardoso, Marinescu (2023), InverseSR: 3D brain MRI
super-resolution using a latent diffusion model, MICCAI, doi:10.1007/978-3-031-43999-5_42.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inversesr.measurements.protocol import Measurement
from inversesr.priors.card import VariableCard
from inversesr.priors.instrumented import InstrumentedPrior
from inversesr.priors.samplers import timestep_path
from inversesr.protocols import Solution
from inversesr.solvers import options as shared
from inversesr.solvers.entry import LATENT, SolverEntry
from inversesr.solvers.latent.chain import N_SAMPLE_STEPS, differentiable_chain, draw
from inversesr.solvers.latent.descent import Plan, by_autograd, descend
from inversesr.solvers.latent.problem import Problem, finish
from inversesr.solvers.latent.published_loss import (
    LEARNING_RATE,
    N_STEPS,
    PERCEPTUAL_WEIGHT,
    published_loss,
)
from inversesr.solvers.latent.runner import restore_with
from inversesr.solvers.setup import Setup

START_OF_VARIABLES = 0.5


@dataclass(frozen=True)
class InverseSRLDM:
    """Options of `inversesr-ldm`.

    Raises:
        InputError: a value is outside its range.
    """

    backend: str = shared.backend()
    data_term: str = shared.data_term()
    perceptual_weight: float = shared.perceptual_weight(PERCEPTUAL_WEIGHT)
    features_file: str | None = shared.features_file()
    n_steps: int = shared.n_steps(N_STEPS)
    learning_rate: float = shared.learning_rate(LEARNING_RATE)

    def __post_init__(self) -> None:
        shared.check(self)


def inversesr_ldm(
    problem: Problem,
    prior: InstrumentedPrior,
    options: InverseSRLDM,
    generator: torch.Generator,
    progress: Callable[[int, int], None],
) -> Solution:
    """Restore a scan as published: Adam on the first noise and the conditioning variables.

    Args:
        problem: The scan and where the prior lies.
        prior: The prior.
        options: As of `inversesr_dec`; with the lean backend each denoising step is recomputed
            in the backward pass instead of being kept.
        generator: Source of the first noise.
        progress: Called with the number of steps done and their total.
    """
    plan = Plan(options.n_steps, options.learning_rate)
    path = timestep_path(prior.schedule, N_SAMPLE_STEPS, _spacing(prior))
    loss = published_loss(problem, prior, options)
    noise = draw(prior.latent_shape, problem.y, generator).requires_grad_()
    values = torch.full((len(prior.variables),), START_OF_VARIABLES, device=noise.device)
    context = values.requires_grad_() if len(values) else None
    variables = [noise] if context is None else [noise, context]
    is_lean = options.backend == "lean"

    def latent() -> Tensor:
        return differentiable_chain(prior, noise, path, context, keep=not is_lean)

    def objective() -> Tensor:
        return loss(problem.compose(prior.decode(latent())))

    history = descend(variables, by_autograd(variables, objective), plan, progress=progress)
    with torch.no_grad():
        z = latent()
        x = problem.compose(prior.decode(z))
    facts = {
        "features": loss.perceptual.name,
        "conditioning": in_natural_units(prior.variables, context),
        "passes": dict(prior.counts),
    }
    status = f"stopped after {len(history)} steps"
    return Solution(finish(problem, x), status, len(history), {"loss": history}, z, facts=facts)


def in_natural_units(
    variables: tuple[VariableCard, ...], context: Tensor | None
) -> dict[str, float]:
    """Return conditioning variables as a person would state them, such as years.

    Nothing keeps the published method from leaving a variable's range; such a value is reported
    as it is.
    """
    scaled = [] if context is None else context.detach().tolist()
    return {v.name: v.low + u * (v.high - v.low) for v, u in zip(variables, scaled, strict=True)}


def _spacing(prior: InstrumentedPrior) -> str | None:
    """Return the published timesteps, or those of the prior where it is a flow."""
    return None if prior.schedule.prediction == "flow" else "inversesr"


def restore(task: Measurement, setup: Setup) -> Solution:
    """Restore a scan; see `inversesr_ldm`."""
    return restore_with(inversesr_ldm, task, setup)


SOLVER = SolverEntry(
    "InverseSR(LDM) as published.",
    InverseSRLDM,
    restore,
    networks=LATENT,
    is_published=True,
    steps="n_steps",
)
