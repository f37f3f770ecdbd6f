"""Reorders the axes of an image, as an operator: priors want them in an order of their own."""

from dataclasses import dataclass

import torch
from torch import Tensor

from inversesr.operators.compose import Algebra
from inversesr.protocols import Shape


@dataclass(frozen=True)
class AxisOrder(Algebra):
    """Permutes and reverses the axes of an image.

    Attributes:
        in_shape: Shape of the image.
        order: Axis of the image that becomes each axis of the result.
        reversed_axes: Axes of the result that run against those of the image.
    """

    in_shape: Shape
    order: tuple[int, ...]
    reversed_axes: tuple[int, ...] = ()
    is_unitary: bool = True

    @property
    def out_shape(self) -> Shape:
        """Shape of the result."""
        return tuple(self.in_shape[axis] for axis in self.order)

    def __call__(self, x: Tensor) -> Tensor:
        """Permute, then reverse."""
        return _reverse(x.permute(self.order), self.reversed_axes)

    def adjoint(self, y: Tensor) -> Tensor:
        """Reverse, then permute back."""
        back = [self.order.index(axis) for axis in range(len(self.order))]
        return _reverse(y, self.reversed_axes).permute(back).contiguous()


def axis_last(shape: Shape, axis: int) -> AxisOrder:
    """Return the operator that moves one axis of an image to the end."""
    others = [other for other in range(len(shape)) if other != axis]
    return AxisOrder(shape, (*others, axis))


def _reverse(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Reverse axes; without any, only the memory is put in order."""
    return torch.flip(x, axes) if axes else x.contiguous()
