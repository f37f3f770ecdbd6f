"""How the slices of a scan lie in the volume that the network sees, and its own voxels.

The network was trained at about 1 mm: voxels that are much finer within the slice are averaged,
and what it changed is interpolated back.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import avg_pool3d, interpolate, pad

from inversesr.acquisition.geometry import Acquisition, first_slice_mm
from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.volume import Grid, voxel_centres

# In-plane voxels are averaged in groups that are at most about this long.
TRAINED_SPACING_MM = 1.0
# A group may be longer by this share of a voxel: 0.55 mm voxels go by two.
ROUNDING = 0.3
# An axis within the slice is sharp if the scan's voxels are at most this many fine ones long.
SHARP = 1.3


@dataclass(frozen=True)
class Slices:
    """How thick slices lie on the fine grid.

    Attributes:
        axis: Axis across the slices.
        geometry: Where they lie along it, in fine voxels.
        group: Voxels that are averaged along each of the other two axes.
        profile: Name of the slice profile.
        sharp: Whether the scan is sharp along each of the other two axes.
    """

    axis: int
    geometry: SliceGeometry
    group: tuple[int, int] = (1, 1)
    profile: str = "rect"
    sharp: tuple[bool, bool] = (False, False)


def describe_slices(scan_grid: Grid, fine: Grid, acquisition: Acquisition) -> Slices:
    """Return how the slices of a scan lie on its fine grid."""
    axis = acquisition.slice_axis
    unit = fine.plane_distance_mm[axis]
    first_slice = first_slice_mm(scan_grid, acquisition)
    first_voxel = voxel_centres(fine.shape[axis], unit)[0]
    geometry = SliceGeometry(
        acquisition.thickness_mm / unit,
        acquisition.slice_spacing_mm / unit,
        float(first_slice - first_voxel) / unit,
    )
    across = [other for other in range(3) if other != axis]
    first, second = (
        max(1, int(TRAINED_SPACING_MM / fine.spacing_mm[other] + ROUNDING)) for other in across
    )
    is_sharp = [scan_grid.spacing_mm[other] <= SHARP * fine.spacing_mm[other] for other in across]
    return Slices(axis, geometry, (first, second), acquisition.profile, (is_sharp[0], is_sharp[1]))


def average(x: torch.Tensor, group: tuple[int, int]) -> torch.Tensor:
    """Average groups of voxels along the first two axes; the last voxels repeat to fill one."""
    if group == (1, 1):
        return x
    missing = [-n % size for n, size in zip(x.shape, group, strict=False)]
    filled = pad(x[None, None], (0, 0, 0, missing[1], 0, missing[0]), mode="replicate")
    return avg_pool3d(filled, (*group, 1))[0, 0]


def spread(change: torch.Tensor, slices: Slices, shape: torch.Size) -> torch.Tensor:
    """Interpolate averages of groups linearly back to single voxels."""
    size = [n * m for n, m in zip(change.shape, (*slices.group, 1), strict=True)]
    fine = interpolate(change[None, None], size=size, mode="trilinear", align_corners=False)
    return fine[0, 0, : shape[0], : shape[1]]
