"""Products and stacks of operators.

Composed(A, W) x = A(W x)          Stacked(A_1, A_2, ...) x = [A_1 x, A_2 x, ...] flattened
"""

from dataclasses import dataclass
from math import prod

import torch

from inversesr.protocols import Operator, Shape


@dataclass(frozen=True, eq=False)
class Composed:
    """The product of two operators, the inner one applied first."""

    outer: Operator
    inner: Operator

    def __post_init__(self) -> None:
        if self.outer.in_shape != self.inner.out_shape:
            message = f"cannot feed {self.inner.out_shape} into {self.outer.in_shape}"
            raise ValueError(message)

    @property
    def in_shape(self) -> Shape:
        """Shape of the argument."""
        return self.inner.in_shape

    @property
    def out_shape(self) -> Shape:
        """Shape of the result."""
        return self.outer.out_shape

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the inner, then the outer operator."""
        return self.outer(self.inner(x))

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Apply the transposes in reverse order."""
        return self.inner.adjoint(self.outer.adjoint(y))


@dataclass(frozen=True, eq=False)
class Stacked:
    """Several operators on the same image; their results are flattened and joined."""

    operators: tuple[Operator, ...]

    @property
    def in_shape(self) -> Shape:
        """Shape of the argument."""
        return self.operators[0].in_shape

    @property
    def out_shape(self) -> Shape:
        """Shape of the result: one long vector."""
        return (sum(self.sizes),)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of measurements of each operator."""
        return tuple(prod(operator.out_shape) for operator in self.operators)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply every operator to x."""
        return torch.cat([operator(x).reshape(-1) for operator in self.operators])

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Sum of the transposes, each applied to its own part of y."""
        parts = torch.split(y, list(self.sizes))
        total = self.operators[0].adjoint(parts[0].reshape(self.operators[0].out_shape))
        for operator, part in zip(self.operators[1:], parts[1:], strict=True):
            total = total + operator.adjoint(part.reshape(operator.out_shape))
        return total


@dataclass(frozen=True, eq=False)
class Weighted:
    """An operator whose measurements are multiplied by weights: whitened, or left out by 0.

    Attributes:
        operator: A.
        weights: One factor a measurement, shape A.out_shape.
    """

    operator: Operator
    weights: torch.Tensor

    @property
    def in_shape(self) -> Shape:
        """Shape of the argument."""
        return self.operator.in_shape

    @property
    def out_shape(self) -> Shape:
        """Shape of the result."""
        return self.operator.out_shape

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply A, then the weights."""
        return self.weights.to(x) * self.operator(x)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Apply the weights, then the transpose of A."""
        return self.operator.adjoint(self.weights.to(y) * y)
