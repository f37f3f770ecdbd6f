"""Between real and complex tensors: a real image as a complex one, complex data as pairs of reals.

Both keep the inner product of `operators.inner_product`.
"""

from dataclasses import dataclass

import torch

from inversesr.operators.compose import Algebra
from inversesr.operators.inner_product import parts
from inversesr.operators.spectrum import Spectrum
from inversesr.protocols import Shape


@dataclass(frozen=True)
class RealImage(Algebra):
    """Takes a real image as a complex one without imaginary part.

    Attributes:
        in_shape: Shape of the image.
    """

    in_shape: Shape

    @property
    def out_shape(self) -> Shape:
        """Shape of the result."""
        return self.in_shape

    @property
    def spectrum(self) -> Spectrum:
        """A' A = 1."""
        return Spectrum(torch.ones((1,) * len(self.in_shape)).double(), of_image=True)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return x with an imaginary part of zero."""
        return torch.complex(x, torch.zeros_like(x))

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return the real part."""
        return y.real


@dataclass(frozen=True)
class RealPairs(Algebra):
    """Takes complex data as pairs of real numbers, for solvers that compute with reals only.

    Attributes:
        in_shape: Shape of the complex data.
    """

    in_shape: Shape
    is_unitary: bool = True

    @property
    def out_shape(self) -> Shape:
        """Shape of the result, (*in_shape, 2)."""
        return (*self.in_shape, 2)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return real and imaginary parts."""
        return parts(x)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return the complex data."""
        return torch.view_as_complex(y.contiguous())
