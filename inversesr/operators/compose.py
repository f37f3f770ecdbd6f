"""Products, adjoints, weights and stacks of operators.

(A @ W) x = A(W x)      A.H = A'      Diagonal(w) x = w x      Stacked(A_1, ...) x = [A_1 x, ...]
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch

from inversesr.operators.protocol import LinearOperator, is_unitary
from inversesr.operators.spectrum import Spectrum, spectrum_of
from inversesr.protocols import Shape


class Algebra:
    """Gives an operator its products `A @ B` and its adjoint `A.H`."""

    def __matmul__(self: LinearOperator, inner: LinearOperator) -> LinearOperator:
        """Return the product of two operators, the inner one applied first."""
        return Composed(self, inner)

    @property
    def H(self: LinearOperator) -> LinearOperator:
        """The adjoint operator."""
        return Adjoint(self)


@dataclass(frozen=True, eq=False)
class Composed(Algebra):
    """The product of two operators, the inner one applied first."""

    outer: LinearOperator
    inner: LinearOperator

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

    @property
    def is_unitary(self) -> bool:
        """Whether both factors are."""
        return is_unitary(self.outer) and is_unitary(self.inner)

    @cached_property
    def spectrum(self) -> Spectrum | None:
        """That of one factor where the other is unitary, else None."""
        outer, inner = spectrum_of(self.outer), spectrum_of(self.inner)
        if outer is not None and is_unitary(self.inner):
            moved = outer.behind(self.inner, self.inner.adjoint)
            return moved if outer.of_image else outer
        if inner is not None and is_unitary(self.outer):
            moved = inner.behind(self.outer.adjoint, self.outer)
            return inner if inner.of_image else moved
        return None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the inner, then the outer operator."""
        return self.outer(self.inner(x))

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Apply the adjoints in reverse order."""
        return self.inner.adjoint(self.outer.adjoint(y))


@dataclass(frozen=True, eq=False)
class Adjoint(Algebra):
    """The adjoint of an operator, as an operator."""

    operator: LinearOperator

    @property
    def in_shape(self) -> Shape:
        """Shape of the argument."""
        return self.operator.out_shape

    @property
    def out_shape(self) -> Shape:
        """Shape of the result."""
        return self.operator.in_shape

    @property
    def is_unitary(self) -> bool:
        """Whether the operator itself is."""
        return is_unitary(self.operator)

    @property
    def spectrum(self) -> Spectrum | None:
        """That of the operator: what it is on data is now on images."""
        found = spectrum_of(self.operator)
        return None if found is None else found.turned_round()

    @property
    def H(self) -> LinearOperator:
        """The operator itself."""
        return self.operator

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the adjoint."""
        return self.operator.adjoint(x)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Apply the operator itself."""
        return self.operator(y)


@dataclass(frozen=True, eq=False)
class Diagonal(Algebra):
    """Multiplies by a weight an element.

    `Diagonal(w) @ A` weights measurements: whitens them, or leaves them out by 0.

    Attributes:
        weights: w; complex weights are for complex images.
    """

    weights: torch.Tensor

    @property
    def in_shape(self) -> Shape:
        """Shape of the argument."""
        return tuple(self.weights.shape)

    @property
    def out_shape(self) -> Shape:
        """Shape of the result."""
        return self.in_shape

    @cached_property
    def spectrum(self) -> Spectrum:
        """|w|^2, an eigenvalue an element."""
        return Spectrum(self.weights.abs().double().square())

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply x by the weights."""
        return self._like(x) * x

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Multiply y by the conjugate weights."""
        return self._like(y).conj() * y

    def _like(self, a: torch.Tensor) -> torch.Tensor:
        # real weights stay real beside complex numbers, which halves the work
        if a.is_complex() and not self.weights.is_complex():
            return self.weights.to(device=a.device, dtype=a.real.dtype)
        return self.weights.to(a)


@dataclass(frozen=True, eq=False)
class Stacked(Algebra):
    """Several operators on the same image; their results are flattened and joined.

    The results are all real or all complex.
    """

    operators: tuple[LinearOperator, ...]

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
        """Sum of the adjoints, each applied to its own part of y."""
        parts = self.split(y)
        total = self.operators[0].adjoint(parts[0])
        for operator, part in zip(self.operators[1:], parts[1:], strict=True):
            total = total + operator.adjoint(part)
        return total

    def split(self, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the part of y that belongs to each operator, in its shape."""
        pieces = torch.split(y, list(self.sizes))
        return tuple(
            piece.reshape(operator.out_shape)
            for piece, operator in zip(pieces, self.operators, strict=True)
        )
