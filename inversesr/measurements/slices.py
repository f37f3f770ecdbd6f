"""One scan to be restored, and what every solver needs of it."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from scipy.linalg import pinv

from inversesr.acquisition.geometry import Acquisition, fine_grid, forward_operator
from inversesr.acquisition.missing import filling_matrix, generated_share
from inversesr.operators.interpolation import spline, spline_operator
from inversesr.operators.separable import Array, SeparableOperator
from inversesr.operators.slice_interpolation import interpolation_matrix
from inversesr.volume import Grid, voxel_centres

# Slices thinner than so many fine voxels are nearly isotropic: there is little to restore, and
# exact agreement amplifies noise.
NEARLY_ISOTROPIC = 1.5


@dataclass(frozen=True, eq=False)
class Task:
    """One scan to be restored.

    Attributes:
        y: The scan in its own voxels and intensities, shape scan_grid.shape but for missing
            slices, which are left out.
        scan_grid: Its voxels.
        acquisition: How it was taken.
        sigma: Standard deviation of its noise, in its own intensities.
        protect: Where data counts over the prior, 0 to 1, shape scan_grid.shape; None: nowhere.
        brain: The brain, above 0 inside, shape scan_grid.shape; None where it was not given.
    """

    y: torch.Tensor
    scan_grid: Grid
    acquisition: Acquisition
    sigma: float
    protect: torch.Tensor | None = None
    brain: torch.Tensor | None = None

    @cached_property
    def fine(self) -> Grid:
        """Voxels of the result."""
        return fine_grid(self.scan_grid, self.acquisition)

    @cached_property
    def A(self) -> SeparableOperator:
        """Forward operator, fine grid -> measured slices."""
        return forward_operator(self.scan_grid, self.fine, self.acquisition)

    @cached_property
    def x0(self) -> torch.Tensor:
        """Spline interpolation of the scan on the fine grid."""
        return self.interpolation(self.y)

    @property
    def slice_axis(self) -> int:
        """Axis across the slices."""
        return self.acquisition.slice_axis

    @cached_property
    def interpolation(self) -> SeparableOperator:
        """Spline interpolation of the slices that were measured, y -> fine grid."""
        stored = spline_operator(self.scan_grid, self.fine) @ self.filling
        assert isinstance(stored, SeparableOperator)
        measured, axis = self.acquisition.interpolated, self.slice_axis
        if measured is None or not measured.is_exact:
            return stored
        distance, thin = (grid.plane_distance_mm[axis] for grid in (self.scan_grid, self.fine))
        n_stored = self.scan_grid.shape[axis]
        first = voxel_centres(n_stored, distance)[0]
        places = measured.counted(voxel_centres(self.fine.shape[axis], thin) - first)
        back = np.asarray(pinv(measured.matrix(n_stored, distance)), dtype=np.float64)
        matrices = list(stored.matrices)
        matrices[axis] = interpolation_matrix("cubic", places, measured.n_slices) @ back
        return SeparableOperator(stored.in_shape, (matrices[0], matrices[1], matrices[2]))

    @cached_property
    def filling(self) -> SeparableOperator:
        """Spline interpolation over missing slices, y -> scan grid."""
        matrices: list[Array | None] = [None, None, None]
        missing, axis = self.acquisition.missing, self.slice_axis
        if missing:
            matrices[axis] = filling_matrix(self.scan_grid.shape[axis], missing)
        shape = tuple(self.y.shape)
        return SeparableOperator(shape, (matrices[0], matrices[1], matrices[2]))

    @property
    def is_nearly_isotropic(self) -> bool:
        """Whether slices are hardly thicker than the voxels of the result."""
        thin = self.fine.plane_distance_mm[self.slice_axis]
        return self.acquisition.thickness_mm < NEARLY_ISOTROPIC * thin

    @property
    def seen(self) -> torch.Tensor:
        """The slices, which are an image, missing ones interpolated."""
        return self.filling(self.y) if self.acquisition.missing else self.y

    @cached_property
    def generated(self) -> torch.Tensor | None:
        """Which share of each fine voxel no slice measured, 0 to 1; None where none is missing."""
        missing, axis = self.acquisition.missing, self.slice_axis
        if not missing:
            return None
        n_fine = self.fine.shape[axis]
        share = torch.from_numpy(generated_share(self.scan_grid.shape[axis], n_fine, missing))
        shape = [1, 1, 1]
        shape[axis] = n_fine
        return share.to(self.y).reshape(shape).expand(self.fine.shape)

    @property
    def seen_grid(self) -> Grid:
        """Voxels of the slices."""
        return self.scan_grid

    def in_units(self, low: float, width: float) -> torch.Tensor:
        """Return the slices of the image (x - low) / width: the rows of A sum to one."""
        return (self.y - low) / width

    def with_thickness(self, factor: float) -> "Task":
        """Return the task with slices thicker by a factor, as they were found to be."""
        if factor == 1.0:
            return self
        thickness = factor * self.acquisition.thickness_mm
        sentence = f"thickness {thickness:.3g} mm as fitted, {factor:.3g} times what was stated"
        assumptions = (*self.acquisition.assumptions, sentence)
        found = replace(self.acquisition, thickness_mm=thickness, assumptions=assumptions)
        return replace(self, acquisition=found)

    @cached_property
    def fine_protect(self) -> torch.Tensor | None:
        """Where data counts over the prior, 0 to 1, on the fine grid."""
        if self.protect is None:
            return None
        return spline(self.protect, self.scan_grid, self.fine).clamp(0.0, 1.0)
