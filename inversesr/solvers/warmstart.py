"""The warm start: one pass of a trained network that thins the slices; see `priors.warmstart`.

x = N(lock(s(y)))         s(y) is the spline interpolation of the scan
"""

import torch

from inversesr.acquisition import Acquisition, voxel_centres
from inversesr.operators.separable import SeparableOperator
from inversesr.priors.networks import fast_dtype
from inversesr.priors.warmstart import SliceGeometry, WarmStartNet, refine
from inversesr.protocols import Solution
from inversesr.volume import Grid


def warmstart(
    A: SeparableOperator,
    y: torch.Tensor,
    x0: torch.Tensor,
    net: WarmStartNet,
    slices: SliceGeometry,
    slice_axis: int,
) -> Solution:
    """Thin the slices of a scan by one pass of a network.

    Args:
        A: Forward operator.
        y: Scan, shape A.out_shape.
        x0: Spline interpolation of the scan, shape A.in_shape.
        net: Trained network.
        slices: Where the slices lie on the fine grid.
        slice_axis: Axis across the slices.
    """
    # the network saw slices along the last axis only
    locked = A.project(x0, y).movedim(slice_axis, -1).contiguous()
    x = refine(net, locked, slices, fast_dtype(y.device)).movedim(-1, slice_axis).contiguous()
    return Solution(x, "one pass", 1)


def slice_geometry(scan_grid: Grid, fine: Grid, acquisition: Acquisition) -> SliceGeometry:
    """Return where the slices lie along their axis, in fine voxels."""
    axis = acquisition.slice_axis
    unit = fine.spacing_mm[axis]
    first_slice = voxel_centres(scan_grid.shape[axis], acquisition.slice_spacing_mm)[0]
    first_voxel = voxel_centres(fine.shape[axis], unit)[0]
    return SliceGeometry(
        acquisition.thickness_mm / unit,
        acquisition.slice_spacing_mm / unit,
        float(first_slice - first_voxel) / unit,
    )
