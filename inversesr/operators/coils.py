"""What receiver coils make of an image.

    (C x)_k = c_k x,      k = 1 ... n_coils

Multi-coil k-space (SENSE) is `Sampling(mask, (n_coils,)) @ Fourier(...) @ Coils(c)`, and of a real
image that `@ RealImage(shape)`: its phase is then part of the sensitivities.

Reference: Pruessmann, Weiger, Scheidegger, Boesiger (1999), SENSE: sensitivity encoding for fast
MRI, Magnetic Resonance in Medicine 42(5):952-962.
"""

from dataclasses import dataclass
from functools import cached_property

import torch

from inversesr.operators.compose import Algebra
from inversesr.operators.inner_product import squared_modulus
from inversesr.operators.spectrum import Spectrum
from inversesr.protocols import Shape


@dataclass(frozen=True, eq=False)
class Coils(Algebra):
    """Multiplies a complex image by the sensitivity of each coil.

    Attributes:
        sensitivities: c, complex, shape (n_coils, *in_shape).
    """

    sensitivities: torch.Tensor

    @property
    def in_shape(self) -> Shape:
        """Shape of the image."""
        return tuple(self.sensitivities.shape[1:])

    @property
    def out_shape(self) -> Shape:
        """Shape of the images of the coils, (n_coils, *in_shape)."""
        return tuple(self.sensitivities.shape)

    @cached_property
    def spectrum(self) -> Spectrum:
        """A' A multiplies by sum |c_k|^2."""
        return Spectrum(squared_modulus(self.sensitivities).sum(0).double(), of_image=True)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the image of each coil."""
        return self._like(x) * x

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Combine the images of the coils, by their conjugate sensitivities."""
        return (self._like(y).conj() * y).sum(0)

    def _like(self, a: torch.Tensor) -> torch.Tensor:
        is_double = a.real.dtype == torch.float64
        dtype = torch.complex128 if is_double else torch.complex64
        return self.sensitivities.to(device=a.device, dtype=dtype)
