"""How the slices of a scan lie in the volume that the network sees, and its own voxels.

The network was trained at about 1 mm: voxels that are much finer within the slice are averaged,
and what it changed is interpolated back. Across the slices that is done where there are so many
thin ones in each that the network has hardly seen the like (docs/decisions/035-any-spacing.md).
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from torch.nn.functional import avg_pool3d, interpolate, pad

from inversesr.acquisition.geometry import Acquisition, first_slice_mm
from inversesr.operators.separable import Array, SeparableOperator
from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.volume import Grid, voxel_centres

# In-plane voxels are averaged in groups that are at most about this long.
TRAINED_SPACING_MM = 1.0
# More thin slices than this in one thick slice are averaged too.
MOST_THIN = 8.0
# A group may be longer by this share of a voxel: 0.55 mm voxels go by two.
ROUNDING = 0.3
# An axis within the slice is sharp if the scan's voxels are at most this many fine ones long.
SHARP = 1.3


@dataclass(frozen=True)
class Slices:
    """How thick slices lie on the fine grid.

    Attributes:
        axis: Axis across the slices.
        geometry: Where they lie along it, in voxels of the network.
        group: Voxels that are averaged along each of the other two axes.
        profile: Name of the slice profile.
        sharp: Whether the scan is sharp along each of the other two axes.
        n_across: Thin slices that are averaged into one that the network sees.
    """

    axis: int
    geometry: SliceGeometry
    group: tuple[int, int] = (1, 1)
    profile: str = "rect"
    sharp: tuple[bool, bool] = (False, False)
    n_across: int = 1

    @property
    def groups(self) -> tuple[int, int, int]:
        """Fine voxels along each side of a voxel that the network sees, slices along the last."""
        return (*self.group, self.n_across)

    def matrix(self, A: SeparableOperator) -> Array:
        """Return what makes thick slices of the thin ones that the network sees.

        Args:
            A: Forward operator of the scan.
        """
        across = A.matrices[self.axis]
        assert across is not None  # slices are thicker than thin ones
        starts = np.arange(0, across.shape[1], self.n_across)
        return across if self.n_across == 1 else np.add.reduceat(across, starts, axis=1)


def describe_slices(scan_grid: Grid, fine: Grid, acquisition: Acquisition) -> Slices:
    """Return how the slices of a scan lie on its fine grid."""
    axis = acquisition.slice_axis
    unit = fine.plane_distance_mm[axis]
    first_slice = first_slice_mm(scan_grid, acquisition)
    n_across = _thin_in_a_group(acquisition, unit)
    first_voxel = voxel_centres(fine.shape[axis], unit)[0] + (n_across - 1) / 2.0 * unit
    step = n_across * unit
    geometry = SliceGeometry(
        acquisition.thickness_mm / step,
        acquisition.slice_spacing_mm / step,
        float(first_slice - first_voxel) / step,
    )
    across = [other for other in range(3) if other != axis]
    first, second = (_most_in_a_group(fine.spacing_mm[other]) for other in across)
    is_sharp = [scan_grid.spacing_mm[other] <= SHARP * fine.spacing_mm[other] for other in across]
    sharp = (is_sharp[0], is_sharp[1])
    return Slices(axis, geometry, (first, second), acquisition.profile, sharp, n_across)


def _most_in_a_group(spacing_mm: float) -> int:
    """Return how many fine voxels make one of about the length that the network was trained at."""
    return max(1, int(TRAINED_SPACING_MM / spacing_mm + ROUNDING))


def _thin_in_a_group(acquisition: Acquisition, unit_mm: float) -> int:
    """Return how few thin slices go together for a thick one to have as many as are known well."""
    if acquisition.missing:
        # the image is joined to what missing slices would show, thin slice by thin slice
        return 1
    n_thin = max(acquisition.thickness_mm, acquisition.slice_spacing_mm) / unit_mm
    # lengths in headers are single precision
    return min(_most_in_a_group(unit_mm), max(1, ceil(round(n_thin / MOST_THIN, 3))))


def average(x: torch.Tensor, groups: tuple[int, int, int]) -> torch.Tensor:
    """Average groups of voxels; the last voxels along an axis repeat to fill one."""
    if groups == (1, 1, 1):
        return x
    rest = [-n % size for n, size in zip(x.shape, groups, strict=True)]
    filled = pad(x[None, None], (0, rest[2], 0, rest[1], 0, rest[0]), mode="replicate")
    return avg_pool3d(filled, groups)[0, 0]


def spread(change: torch.Tensor, slices: Slices, shape: torch.Size) -> torch.Tensor:
    """Interpolate averages of groups linearly back to single voxels."""
    if slices.groups == (1, 1, 1):
        return change
    size = [n * m for n, m in zip(change.shape, slices.groups, strict=True)]
    fine = interpolate(change[None, None], size=size, mode="trilinear", align_corners=False)
    return fine[0, 0, : shape[0], : shape[1], : shape[2]]
