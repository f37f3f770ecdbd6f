"""Which values were measured: a mask of voxels, or of the samples of k-space.

(A x)_i = x at the i-th marked place,      A A' = 1
"""

from dataclasses import dataclass
from functools import cached_property

import torch

from inversesr.operators.compose import Algebra
from inversesr.operators.spectrum import Spectrum
from inversesr.protocols import Shape


@dataclass(frozen=True, eq=False)
class Sampling(Algebra):
    """Takes the marked values of an image, in the order in which they lie there.

    What was not measured is absent from y, so that its length counts measurements.

    Attributes:
        measured: Marks, bool, the shape of an image.
        channels: Shape of further axes before those, all sampled alike, such as (n_coils,).
    """

    measured: torch.Tensor
    channels: Shape = ()

    @property
    def in_shape(self) -> Shape:
        """Shape of the argument."""
        return (*self.channels, *self.measured.shape)

    @cached_property
    def out_shape(self) -> Shape:
        """Shape of the result."""
        return (*self.channels, int(self.measured.sum()))

    @cached_property
    def spectrum(self) -> Spectrum:
        """A A' = 1."""
        return Spectrum(torch.ones((1,), dtype=torch.float64))

    @cached_property
    def _places(self) -> torch.Tensor:
        return self.measured.flatten().nonzero()[:, 0]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Take the marked values of x."""
        flat = x.reshape(*self.channels, -1)
        return flat.index_select(-1, self._places.to(x.device))

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Put values back to their places, zero elsewhere."""
        flat = y.new_zeros((*self.channels, self.measured.numel()))
        return flat.index_copy(-1, self._places.to(y.device), y).reshape(self.in_shape)
