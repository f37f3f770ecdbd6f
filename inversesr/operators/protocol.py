"""What an operator must offer to be exchangeable.

    y = A x,      <A x, y> = <x, A' y>

The inner product is that of pairs of real numbers, <a, b> = Re sum conj(a) b: an operator may take
real images to complex data. Two things more may be offered: `spectrum`, where A A' or A' A is
diagonal in a known basis (`operators.spectrum`), and `is_unitary`, where A A' = A' A = 1.
"""

from typing import Protocol

import torch

from inversesr.protocols import Shape


class LinearOperator(Protocol):
    """A linear map y = A x; stateless, device and precision follow its argument."""

    @property
    def in_shape(self) -> Shape:
        """Shape of x."""
        ...

    @property
    def out_shape(self) -> Shape:
        """Shape of y."""
        ...

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the map to x of shape in_shape; the result has shape out_shape."""
        ...

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Apply the adjoint map, so that <A x, y> = <x, A' y>."""
        ...


def is_unitary(operator: LinearOperator) -> bool:
    """Return whether an operator says that its adjoint is its inverse."""
    return bool(getattr(operator, "is_unitary", False))
