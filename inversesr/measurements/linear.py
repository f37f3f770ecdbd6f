"""A measurement by any linear operator: masks, k-space, several stacks, moved heads."""

from dataclasses import dataclass

import torch
from torch import Tensor

from inversesr.operators.complex_numbers import RealPairs
from inversesr.operators.protocol import LinearOperator
from inversesr.volume import Grid


@dataclass(frozen=True, eq=False)
class LinearMeasurement:
    """Data y = A x + sigma n of a real image; see `protocol.Measurement`.

    Attributes:
        y: The data, shape A.out_shape, real; `linear_measurement` takes complex ones.
        A: Forward operator.
        sigma: Standard deviation of the noise of every number in y, at least 0.
        fine: Voxels of the image.
        x0: First guess of the image, shape A.in_shape.
        slice_axis: Axis along which least is known.
        fine_protect: Where data counts over the prior, 0 to 1, shape A.in_shape; None: nowhere.
        brain: The brain, above 0 inside, shape A.in_shape; None where it was not given.
    """

    y: Tensor
    A: LinearOperator
    sigma: float
    fine: Grid
    x0: Tensor
    slice_axis: int = 2
    fine_protect: Tensor | None = None
    brain: Tensor | None = None
    acquisition: None = None
    interpolation: None = None

    @property
    def seen(self) -> Tensor:
        """The first guess: the data are no image."""
        return self.x0

    @property
    def seen_grid(self) -> Grid:
        """Voxels of the first guess."""
        return self.fine

    def in_units(self, low: float, width: float) -> Tensor:
        """Return the data of the image (x - low) / width."""
        return (self.y - self.A(torch.full_like(self.x0, low))) / width


def linear_measurement(
    y: Tensor,
    A: LinearOperator,
    sigma: float,
    x0: Tensor,
    fine: Grid,
) -> LinearMeasurement:
    """Describe a measurement.

    Args:
        y: The data, real or complex, shape A.out_shape.
        A: Forward operator of real images.
        sigma: Standard deviation of the noise, of each of the two parts where y is complex.
        x0: First guess of the image, real, shape A.in_shape.
        fine: Voxels of the image.

    Raises:
        ValueError: shapes do not fit together.
    """
    shapes = (tuple(y.shape), tuple(A.out_shape)), (tuple(x0.shape), tuple(A.in_shape))
    for found, expected in shapes:
        if found != expected:
            message = f"found a tensor of shape {found}; expected {expected}"
            raise ValueError(message)
    if y.is_complex():
        pairs = RealPairs(tuple(y.shape))
        return LinearMeasurement(pairs(y), pairs @ A, sigma, fine, x0)
    return LinearMeasurement(y, A, sigma, fine, x0)
