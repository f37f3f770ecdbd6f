"""What was measured, as every solver takes it: y = A x + noise, and where x lies.

Builders are `slices.Task` (one scan) and `linear.LinearMeasurement` (any operator).
"""

from typing import Protocol

from torch import Tensor

from inversesr.acquisition.geometry import Acquisition
from inversesr.operators.protocol import LinearOperator
from inversesr.volume import Grid


class Measurement(Protocol):
    """Data y = A x + sigma n of an image x on a fine grid."""

    @property
    def y(self) -> Tensor:
        """The data, shape A.out_shape, real."""

    @property
    def A(self) -> LinearOperator:
        """Forward operator, from images on the fine grid to data."""

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise of every number in y, at least 0."""

    @property
    def fine(self) -> Grid:
        """Voxels of the image."""

    @property
    def x0(self) -> Tensor:
        """First guess of the image, shape A.in_shape."""

    @property
    def slice_axis(self) -> int:
        """Axis along which least is known, such as that across the slices."""

    @property
    def acquisition(self) -> Acquisition | None:
        """How slices were taken; None where the data are no slices."""

    @property
    def interpolation(self) -> LinearOperator | None:
        """Interpolation of slices on the fine grid; None where the data are no slices."""

    @property
    def seen(self) -> Tensor:
        """The image as far as it was seen: the slices, or else the first guess."""

    @property
    def seen_grid(self) -> Grid:
        """Voxels of that."""

    @property
    def brain(self) -> Tensor | None:
        """The brain, above 0 inside, shape seen_grid.shape; None where it was not given."""

    @property
    def fine_protect(self) -> Tensor | None:
        """Where data counts over the prior, 0 to 1, on the fine grid; None: nowhere."""

    def in_units(self, low: float, width: float) -> Tensor:
        """Return the data of the image (x - low) / width."""
