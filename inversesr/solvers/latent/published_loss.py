"""The loss that both published InverseSR methods minimise.

L(x) = mean |A x - y|  (or its square)  +  1e4 d(A x)          d: see `solvers.features`
"""

from dataclasses import dataclass

from torch import Tensor

from inversesr.priors.instrumented import InstrumentedPrior
from inversesr.solvers.latent.features import PerceptualTerm, perceptual_term
from inversesr.solvers.latent.needs import Published
from inversesr.solvers.latent.problem import Problem

PERCEPTUAL_WEIGHT = 1e4
LEARNING_RATE = 0.07
N_STEPS = 601


@dataclass(frozen=True, eq=False)
class PublishedLoss:
    """The loss of an image on the fine grid.

    Attributes:
        problem: The problem.
        is_squared: L2, as the paper's text says, instead of L1, as its code does.
        perceptual: Feature term.
        weight: Its weight.
    """

    problem: Problem
    is_squared: bool
    perceptual: PerceptualTerm
    weight: float

    def __call__(self, x: Tensor) -> Tensor:
        """Return the loss, a scalar; differentiable."""
        y_of_x = self.problem.A(x)
        misfit = y_of_x - self.problem.y
        data = misfit.square().mean() if self.is_squared else misfit.abs().mean()
        return data + self.weight * self.perceptual(y_of_x)


def published_loss(
    problem: Problem, prior: InstrumentedPrior, options: Published
) -> PublishedLoss:
    """Build the loss from the options."""
    term = perceptual_term(problem, prior, options)
    is_squared = options.data_term == "l2"
    return PublishedLoss(problem, is_squared, term, options.perceptual_weight)
