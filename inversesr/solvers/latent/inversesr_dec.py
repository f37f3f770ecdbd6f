"""InverseSR(Decoder): find the latent whose decoded image explains the scan.

z* = argmin  mean |A G(z) - y| + 1e4 d(A G(z)),        z starts at the mean of prior samples

Reference: Wang, Levman, Pinaya, Tudosiu, Cardoso, Marinescu (2023), InverseSR: 3D brain MRI
super-resolution using a latent diffusion model, MICCAI, doi:10.1007/978-3-031-43999-5_42.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inversesr.config import option
from inversesr.measurements.protocol import Measurement
from inversesr.priors.instrumented import InstrumentedPrior
from inversesr.protocols import Solution
from inversesr.solvers import options as shared
from inversesr.solvers.entry import LATENT, SolverEntry
from inversesr.solvers.latent.chain import mean_latent
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


@dataclass(frozen=True)
class InverseSRDecoder:
    """Options of `inversesr-dec`.

    Raises:
        InputError: a value is outside its range.
    """

    backend: str = shared.backend()
    data_term: str = shared.data_term()
    perceptual_weight: float = shared.perceptual_weight(PERCEPTUAL_WEIGHT)
    features_file: str | None = shared.features_file()
    n_steps: int = shared.n_steps(N_STEPS)
    learning_rate: float = shared.learning_rate(LEARNING_RATE)
    n_start_samples: int = option(4, "Samples whose mean is the start.", least=1)

    def __post_init__(self) -> None:
        shared.check(self)


def inversesr_dec(
    problem: Problem,
    prior: InstrumentedPrior,
    options: InverseSRDecoder,
    generator: torch.Generator,
    progress: Callable[[int, int], None],
) -> Solution:
    """Restore a scan as published: Adam on the latent, last iterate, no early stop.

    Args:
        problem: The scan and where the prior lies.
        prior: The prior; its denoiser draws the start.
        options: `data_term`, `perceptual_weight`, `features_file`, `n_steps`, `learning_rate`,
            `n_start_samples`.
        generator: Source of the start.
        progress: Called with the number of steps done and their total.
    """
    plan = Plan(options.n_steps, options.learning_rate)
    loss = published_loss(problem, prior, options)
    start = mean_latent(prior, problem.y, options.n_start_samples, generator)
    z = start.clone().requires_grad_()

    def objective() -> Tensor:
        return loss(problem.compose(prior.decode(z)))

    history = descend([z], by_autograd([z], objective), plan, progress=progress)
    found = z.detach()
    return Solution(
        finish(problem, problem.compose(prior.decode(found))),
        f"stopped after {len(history)} steps",
        len(history),
        {"loss": history},
        found,
        facts={"features": loss.perceptual.name, "passes": dict(prior.counts)},
    )


def restore(task: Measurement, setup: Setup) -> Solution:
    """Restore a scan; see `inversesr_dec`."""
    return restore_with(inversesr_dec, task, setup)


SOLVER = SolverEntry(
    "InverseSR(Decoder) as published.",
    InverseSRDecoder,
    restore,
    networks=LATENT,
    is_published=True,
    steps="n_steps",
)
