"""Cubic spline interpolation: what people get today, and the baseline of every table.

x = (S_0 x S_1 x S_2) y,      S = natural cubic spline through the slice centres
"""

import numpy as np
import torch
from scipy.interpolate import CubicSpline

from inversesr.operators.separable import SeparableOperator
from inversesr.volume import Grid, voxel_centres


def spline(y: torch.Tensor, scan_grid: Grid, fine: Grid) -> torch.Tensor:
    """Interpolate a scan onto the fine grid, which has the same axes and centre.

    Beyond the outermost slice centres the outermost value is kept.

    Args:
        y: Scan, shape scan_grid.shape.
        scan_grid: Voxels of the scan.
        fine: Voxels of the result.

    Returns:
        Image of shape fine.shape.
    """
    return spline_operator(scan_grid, fine)(y)


def spline_operator(scan_grid: Grid, fine: Grid) -> SeparableOperator:
    """Return the interpolation as an operator, scan grid -> fine grid."""
    matrices = [_interpolation(scan_grid, fine, axis) for axis in range(3)]
    return SeparableOperator(scan_grid.shape, (matrices[0], matrices[1], matrices[2]))


def _interpolation(
    scan_grid: Grid, fine: Grid, axis: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None:
    n_scan, n_fine = scan_grid.shape[axis], fine.shape[axis]
    if n_scan == n_fine:
        return None
    centres = voxel_centres(n_scan, scan_grid.spacing_mm[axis])
    positions = voxel_centres(n_fine, fine.spacing_mm[axis])
    through_units = CubicSpline(centres, np.eye(n_scan), bc_type="natural")
    return np.asarray(through_units(np.clip(positions, centres[0], centres[-1])))
