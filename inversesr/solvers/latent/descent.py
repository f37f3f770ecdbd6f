"""Gradient descent by Adam on latents, with its trace."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Loss = Callable[[], Tensor]
ADAM_BETAS = (0.9, 0.999)


@dataclass(frozen=True)
class Plan:
    """How long and how fast.

    Attributes:
        n_steps: Iterations.
        learning_rate: Step at the start.
        is_cosine: Whether the step falls to zero along a half cosine.
    """

    n_steps: int
    learning_rate: float
    is_cosine: bool = False

    def rate(self, step: int) -> float:
        """Return the step size of an iteration, counted from 0."""
        if not self.is_cosine:
            return self.learning_rate
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * step / self.n_steps))


def descend(
    variables: Sequence[Tensor],
    loss_and_gradients: Callable[[], tuple[float, Sequence[Tensor]]],
    plan: Plan,
    is_done: Callable[[int], bool] = lambda _n_done: False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[float]:
    """Move variables, in place, down a loss.

    Args:
        variables: Tensors that require a gradient.
        loss_and_gradients: Evaluates at their present values.
        plan: Steps and their sizes.
        is_done: Asked after each step with the number of steps done.
        progress: Called with the number of steps done and their total.

    Returns:
        The loss before each step.

    Reference: Kingma, Ba (2015), Adam: a method for stochastic optimization, arXiv:1412.6980.
    """
    adam = torch.optim.Adam(list(variables), lr=plan.learning_rate, betas=ADAM_BETAS)
    losses: list[float] = []
    for step in range(plan.n_steps):
        loss, gradients = loss_and_gradients()
        losses.append(loss)
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.grad = gradient
        for group in adam.param_groups:
            group["lr"] = plan.rate(step)
        adam.step()
        progress(step + 1, plan.n_steps)
        if is_done(step + 1):
            break
    return losses


def by_autograd(
    variables: Sequence[Tensor], loss: Loss
) -> Callable[[], tuple[float, Sequence[Tensor]]]:
    """Return a function that gives a loss and its gradients."""

    def evaluate() -> tuple[float, Sequence[Tensor]]:
        value = loss()
        return float(value.detach()), torch.autograd.grad(value, list(variables))

    return evaluate
