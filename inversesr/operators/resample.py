"""Rigid resampling of an image from one grid to another, and its exact transpose.

    (W x)(voxel j of the target) = trilinear interpolation of x at
                                   source_from_ras @ source_world_from_target_world @ ras_from_target @ j
Outside the source grid the image is zero.
"""  # noqa: E501 (an equation)

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch.nn.functional import grid_sample

from inversesr.operators.compose import Algebra
from inversesr.protocols import Shape
from inversesr.volume import Affine, Grid

# Target voxels a slab: bounds the memory of the coordinates (12 bytes each in float32).
SLAB_VOXELS = 2_000_000
# Interpolation, padding and corner codes of torch's grid sampler.
BILINEAR, ZEROS, ALIGN_CORNERS = 0, 0, False


@dataclass(frozen=True, eq=False)
class RigidResample(Algebra):
    """Trilinear resampling W: source grid -> target grid.

    Attributes:
        source: Grid of the argument.
        target: Grid of the result.
        source_world_from_target_world: Rigid motion in RAS mm, shape (4, 4): where a point of
            the target's world lies in the source's world.
    """

    source: Grid
    target: Grid
    source_world_from_target_world: Affine

    @property
    def in_shape(self) -> Shape:
        """Shape of the argument."""
        return self.source.shape

    @property
    def out_shape(self) -> Shape:
        """Shape of the result."""
        return self.target.shape

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Resample x, shape in_shape, onto the target grid; or several images, (n, *in_shape)."""
        images = x.reshape(1, -1, *x.shape[-3:])
        slabs = [
            grid_sample(images, coordinates, align_corners=ALIGN_CORNERS)[0]
            for _, coordinates in self._slabs(x)
        ]
        return torch.cat(slabs, dim=1).reshape(*x.shape[:-3], *self.out_shape)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Spread y, shape out_shape, back over the source grid with the same weights."""
        images = y.reshape(1, -1, *self.out_shape)
        x = torch.zeros(1, images.shape[1], *self.in_shape, dtype=y.dtype, device=y.device)
        total = torch.zeros_like(x)
        for rows, coordinates in self._slabs(y):
            # interpolation is linear in the image, so its gradient is its transpose, wherever
            # it is evaluated: no forward pass is needed
            spread, _ = torch.ops.aten.grid_sampler_3d_backward(
                images[:, :, rows], x, coordinates, BILINEAR, ZEROS, ALIGN_CORNERS, [True, False]
            )
            total += spread
        return total.reshape(*y.shape[:-3], *self.in_shape)

    def _slabs(self, like: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield rows of the target and their sampling coordinates, shape (1, n, Y, Z, 3)."""
        n, ny, nz = self.target.shape
        step = max(1, SLAB_VOXELS // (ny * nz))
        matrix = torch.from_numpy(self._normalised_from_target).to(like)
        j = torch.arange(ny, device=like.device, dtype=like.dtype)[None, :, None, None]
        k = torch.arange(nz, device=like.device, dtype=like.dtype)[None, None, :, None]
        for start in range(0, n, step):
            rows = slice(start, min(n, start + step))
            i = torch.arange(start, rows.stop, device=like.device, dtype=like.dtype)
            moved = i[:, None, None, None] * matrix[:, 0] + matrix[:, 3]
            yield rows, (moved + j * matrix[:, 1] + k * matrix[:, 2])[None]

    @cached_property
    def _normalised_from_target(self) -> Affine:
        """Sampling coordinates in [-1, 1], last axis first, from target voxels, shape (3, 4)."""
        source_from_target = (
            np.linalg.inv(self.source.affine)
            @ self.source_world_from_target_world
            @ self.target.affine
        )
        # to voxel edges, not centres: an axis of one voxel still has an outside
        half = np.array(self.source.shape) / 2.0
        centre = (np.array(self.source.shape) - 1) / 2.0
        normalised = source_from_target[:3] / half[:, None]
        normalised[:, 3] -= centre / half
        return np.ascontiguousarray(normalised[::-1])
