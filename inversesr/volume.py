"""A 3D image and where its voxels lie in the world.

world_mm = ras_from_voxel @ (i, j, k, 1)        RAS+ millimetres, voxel centres at integers
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]
Image = NDArray[np.float32]
# Axes that are nearer to right angles are taken as right: affines are rounded.
LEAST_SHEAR_DEGREES = 0.05


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular lattice of voxels in the world.

    Attributes:
        shape: Number of voxels along each axis.
        affine: World from voxel, shape (4, 4), RAS+ millimetres.
    """

    shape: tuple[int, int, int]
    affine: Affine

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along each axis, in mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return (x, y, z)

    @cached_property
    def directions(self) -> Affine:
        """Unit vectors of the axes in the world, one a column, shape (3, 3)."""
        return np.asarray(self.affine[:3, :3] / np.asarray(self.spacing_mm))

    @property
    def axcodes(self) -> str:
        """Anatomical direction in which each axis mainly runs, such as "RAS" or "LPS"."""
        codes = ["LR", "PA", "IS"]
        letters = [""] * 3
        remaining = np.abs(self.directions).copy()
        for _ in range(3):
            world, axis = np.unravel_index(np.argmax(remaining), (3, 3))
            letters[axis] = codes[world][int(self.directions[world, axis] > 0)]
            remaining[world, :] = -1.0
            remaining[:, axis] = -1.0
        return "".join(letters)

    @property
    def ras_order(self) -> tuple[int, int, int]:
        """Which axis runs most nearly left-right, back-front and up-down."""
        codes = self.axcodes
        x, y, z = (
            next(axis for axis, code in enumerate(codes) if code in pair)
            for pair in ("LR", "PA", "IS")
        )
        return x, y, z

    @property
    def ras_flips(self) -> tuple[int, ...]:
        """Which axes, in the order of `ras_order`, run towards L, P or I."""
        codes = self.axcodes
        return tuple(n for n, axis in enumerate(self.ras_order) if codes[axis] in "LPI")

    def same_as(self, other: "Grid", tolerance_mm: float = 1e-3) -> bool:
        """Whether both grids put every voxel at the same place, to within a tolerance."""
        return self.shape == other.shape and self.farthest_mm(other) <= tolerance_mm

    def farthest_mm(self, other: "Grid") -> float:
        """Largest distance between the places that two grids of one shape give to a corner."""
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1)
        difference = (self.affine - other.affine) @ np.vstack([corners, np.ones(8)])
        return float(np.linalg.norm(difference[:3], axis=0).max())

    @cached_property
    def shear_degrees(self) -> float:
        """Largest angle between an axis and the normal of the plane of the other two."""
        cosines = 1.0 / np.linalg.norm(np.linalg.inv(self.directions), axis=1)
        return float(np.degrees(np.arccos(np.clip(cosines, 0.0, 1.0))).max())

    @cached_property
    def plane_distance_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring planes of voxels across each axis, in mm.

        It is the spacing unless the axes are sheared: then planes are nearer to each other than
        voxels that follow one another along the slant.
        """
        if self.shear_degrees < LEAST_SHEAR_DEGREES:
            return self.spacing_mm
        x, y, z = (1.0 / np.linalg.norm(np.linalg.inv(self.affine[:3, :3]), axis=1)).tolist()
        return (x, y, z)

    def respaced(self, shape: tuple[int, int, int], spacing_mm: tuple[float, ...]) -> "Grid":
        """Return a grid with other voxels that has the same axes and the same centre."""
        linear = self.directions * np.asarray(spacing_mm)
        centre = self.affine[:3, :3] @ ((np.array(self.shape) - 1) / 2.0) + self.affine[:3, 3]
        affine = np.eye(4)
        affine[:3, :3] = linear
        affine[:3, 3] = centre - linear @ ((np.array(shape) - 1) / 2.0)
        return Grid(shape, affine)


@dataclass(frozen=True, eq=False)
class Volume:
    """An image on a grid.

    Attributes:
        data: Intensities, float32, shape grid.shape.
        grid: Where the voxels lie.
    """

    data: Image
    grid: Grid

    def __post_init__(self) -> None:
        if self.data.shape != self.grid.shape:
            message = f"data {self.data.shape} does not fit the grid {self.grid.shape}"
            raise ValueError(message)

    def cropped(self, box: tuple[slice, slice, slice]) -> "Volume":
        """Return the part inside a box of voxels, where it was in the world."""
        data = np.ascontiguousarray(self.data[box])
        affine = self.grid.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ [side.start or 0 for side in box]
        x, y, z = data.shape
        return Volume(data, Grid((x, y, z), affine))

    def with_data(self, data: Image) -> "Volume":
        """Return other intensities on the same grid."""
        return replace(self, data=np.asarray(data, dtype=np.float32))


def voxel_centres(n: int, spacing_mm: float) -> Affine:
    """Positions of n voxels about their common centre, in mm."""
    return (np.arange(n, dtype=np.float64) - (n - 1) / 2.0) * spacing_mm
