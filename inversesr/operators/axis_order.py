"""Moves an axis of an image to the end, as an operator: priors have the slices there."""

from dataclasses import dataclass

from torch import Tensor

from inversesr.operators.compose import Algebra
from inversesr.protocols import Shape


@dataclass(frozen=True)
class AxisLast(Algebra):
    """Moves one axis of an image to the end.

    Attributes:
        in_shape: Shape of the image.
        axis: Which one, counted from 0.
    """

    in_shape: Shape
    axis: int
    is_unitary: bool = True

    @property
    def out_shape(self) -> Shape:
        """Shape of the result."""
        others = [n for axis, n in enumerate(self.in_shape) if axis != self.axis]
        return (*others, self.in_shape[self.axis])

    def __call__(self, x: Tensor) -> Tensor:
        """Move the axis to the end."""
        return x.movedim(self.axis, -1).contiguous()

    def adjoint(self, y: Tensor) -> Tensor:
        """Move the last axis back to where it was."""
        return y.movedim(-1, self.axis).contiguous()
