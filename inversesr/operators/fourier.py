"""The unitary Fourier transform, and the samples of k-space that were measured.

    (F x)(k) = n^(-1/2) sum over r of x(r) exp(-2 pi i k r / n)

k = 0 and r = 0 lie in the middle, at index n // 2 of each axis, as scanners store k-space.
"""

from dataclasses import dataclass
from functools import cached_property

import torch

from inversesr.operators.compose import Algebra
from inversesr.operators.sampling import Sampling
from inversesr.operators.spectrum import Spectrum
from inversesr.protocols import Shape


@dataclass(frozen=True)
class Fourier(Algebra):
    """The unitary Fourier transform of complex images along some axes.

    Attributes:
        in_shape: Shape of the image.
        axes: Axes to transform, counted from the end: -1 is the last.
    """

    in_shape: Shape
    axes: tuple[int, ...] = (-3, -2, -1)
    is_unitary: bool = True

    @property
    def out_shape(self) -> Shape:
        """Shape of the result."""
        return self.in_shape

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Transform an image into its k-space."""
        moved = torch.fft.ifftshift(x, dim=self.axes)
        found = torch.fft.fftn(moved, dim=self.axes, norm="ortho")
        shifted: torch.Tensor = torch.fft.fftshift(found, dim=self.axes)
        return shifted

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Transform a k-space into its image."""
        moved = torch.fft.ifftshift(y, dim=self.axes)
        found = torch.fft.ifftn(moved, dim=self.axes, norm="ortho")
        shifted: torch.Tensor = torch.fft.fftshift(found, dim=self.axes)
        return shifted


@dataclass(frozen=True, eq=False)
class SampledFourier(Algebra):
    """Measured samples of the k-space of a real image.

    A' A x = F' diag(s) F x with s the mean of the mask and its mirror image about k = 0: a sample
    and its opposite say the same of a real image. Of complex images,
    `Sampling(measured) @ Fourier(shape)` gives the samples.

    Attributes:
        measured: Which samples were taken, bool, the shape of the image.
        axes: See `Fourier`.
    """

    measured: torch.Tensor
    axes: tuple[int, ...] = (-3, -2, -1)

    @property
    def in_shape(self) -> Shape:
        """Shape of the image."""
        return tuple(self.measured.shape)

    @property
    def out_shape(self) -> Shape:
        """Shape of the samples: one long vector."""
        return self._sampling.out_shape

    @cached_property
    def spectrum(self) -> Spectrum:
        """Eigenvalues 0, 1/2 and 1 of A' A in the waves of the image."""

        def synthesise(c: torch.Tensor) -> torch.Tensor:
            return self._fourier.adjoint(c).real

        mask = self.measured.double()
        values = 0.5 * (mask + opposite(mask, self.axes))
        return Spectrum(values, self._fourier, synthesise, of_image=True)

    @cached_property
    def _fourier(self) -> Fourier:
        return Fourier(self.in_shape, self.axes)

    @cached_property
    def _sampling(self) -> Sampling:
        return Sampling(self.measured)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the samples of a real image, complex."""
        return self._sampling(self._fourier(x))

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return the real image of samples; what was not measured is taken as zero."""
        return self._fourier.adjoint(self._sampling.adjoint(y)).real


def opposite(kspace: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    """Return k-space mirrored about k = 0 along some axes: the value at -k."""
    for axis in axes:
        n = kspace.shape[axis]
        place = (2 * (n // 2) - torch.arange(n, device=kspace.device)) % n
        kspace = kspace.index_select(axis, place)
    return kspace
