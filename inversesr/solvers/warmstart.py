"""The warm start: one pass of a trained network that thins the slices; see `priors.warmstart`.

    x = l + U (N(P l) - P l),        l = lock(s(y))

s(y) is the spline interpolation of the scan. The network was trained at about 1 mm: voxels that
are much finer within the slice are averaged (P), and what the network changed is interpolated
back (U), so that no detail within the slice is lost.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import avg_pool3d, interpolate, pad

from inversesr.acquisition import Acquisition, voxel_centres
from inversesr.operators.separable import SeparableOperator
from inversesr.priors.networks import fast_dtype
from inversesr.priors.warmstart import SliceGeometry, WarmStartNet, refine
from inversesr.protocols import Solution
from inversesr.volume import Grid

# In-plane voxels are averaged in groups that are at most about this long.
TRAINED_SPACING_MM = 1.0
# A group may be longer by this share of a voxel: 0.55 mm voxels go by two.
ROUNDING = 0.3


@dataclass(frozen=True)
class Slices:
    """How thick slices lie on the fine grid.

    Attributes:
        axis: Axis across the slices.
        geometry: Where they lie along it, in fine voxels.
        group: Voxels that are averaged along each of the other two axes.
    """

    axis: int
    geometry: SliceGeometry
    group: tuple[int, int] = (1, 1)


def describe_slices(scan_grid: Grid, fine: Grid, acquisition: Acquisition) -> Slices:
    """Return how the slices of a scan lie on its fine grid."""
    axis = acquisition.slice_axis
    unit = fine.spacing_mm[axis]
    first_slice = voxel_centres(scan_grid.shape[axis], acquisition.slice_spacing_mm)[0]
    first_voxel = voxel_centres(fine.shape[axis], unit)[0]
    geometry = SliceGeometry(
        acquisition.thickness_mm / unit,
        acquisition.slice_spacing_mm / unit,
        float(first_slice - first_voxel) / unit,
    )
    across = [fine.spacing_mm[other] for other in range(3) if other != axis]
    first, second = (max(1, int(TRAINED_SPACING_MM / s + ROUNDING)) for s in across)
    return Slices(axis, geometry, (first, second))


def warmstart(
    A: SeparableOperator, y: torch.Tensor, x0: torch.Tensor, net: WarmStartNet, slices: Slices
) -> Solution:
    """Thin the slices of a scan by one pass of a network.

    Args:
        A: Forward operator.
        y: Scan, shape A.out_shape.
        x0: Spline interpolation of the scan, shape A.in_shape.
        net: Trained network.
        slices: Where the slices lie on the fine grid.
    """
    # the network saw slices along the last axis only
    locked = A.project(x0, y).movedim(slices.axis, -1).contiguous()
    seen = _average(locked, slices.group)
    thin = refine(net, seen, slices.geometry, fast_dtype(y.device))
    x = thin if slices.group == (1, 1) else locked + _spread(thin - seen, slices, locked.shape)
    return Solution(x.movedim(-1, slices.axis).contiguous(), "one pass", 1)


def _average(x: torch.Tensor, group: tuple[int, int]) -> torch.Tensor:
    """Average groups of voxels along the first two axes; the last voxels repeat to fill one."""
    if group == (1, 1):
        return x
    missing = [-n % size for n, size in zip(x.shape, group, strict=False)]
    filled = pad(x[None, None], (0, 0, 0, missing[1], 0, missing[0]), mode="replicate")
    return avg_pool3d(filled, (*group, 1))[0, 0]


def _spread(change: torch.Tensor, slices: Slices, shape: torch.Size) -> torch.Tensor:
    """Interpolate averages of groups linearly back to single voxels."""
    size = [n * m for n, m in zip(change.shape, (*slices.group, 1), strict=True)]
    fine = interpolate(change[None, None], size=size, mode="trilinear", align_corners=False)
    return fine[0, 0, : shape[0], : shape[1]]
