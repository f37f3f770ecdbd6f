"""Where a prior's grid lies on a scan: W, V and the soft mask m, for free and for fixed grids.

Free: the scan's own axes with the slice axis last, or, for an oriented prior, turned to the
directions that it knows; spacings that differ are bridged by hat functions, and the sides are
padded, by repeating the last voxel, to the prior's multiple.
Fixed: rigid resampling by the pose of the head, which `solvers.pose` finds.
"""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from inversesr.operators.axis_order import AxisOrder, axis_last
from inversesr.operators.compose import Composed
from inversesr.operators.protocol import LinearOperator
from inversesr.operators.resample import RigidResample
from inversesr.operators.separable import Array, SeparableOperator
from inversesr.priors.card import GridCard, directions
from inversesr.volume import Affine, Grid

# Spacings that differ by less than this share are the same to a prior.
SAME_SPACING = 0.15
# Width over which the prior fades into the spline.
FADE_MM = 4.0


@dataclass(frozen=True, eq=False)
class Placement:
    """How a prior's grid lies on the fine grid of a scan.

    Attributes:
        W: Prior grid -> fine grid.
        V: Fine grid -> prior grid.
        shape: Shape of the prior grid.
    """

    W: LinearOperator
    V: LinearOperator
    shape: tuple[int, int, int]


def place_free(fine: Grid, slice_axis: int, card: GridCard) -> Placement:
    """Lay a free prior's grid over a scan.

    Args:
        fine: The fine grid.
        slice_axis: Axis across the slices.
        card: Spacing and multiple of the prior; unless it is oriented, its last axis lies across
            the slices.
    """
    order = _oriented(fine, card) if card.oriented else axis_last(fine.shape, slice_axis)
    spacing = [fine.spacing_mm[axis] for axis in order.order]
    there: list[Array | None] = []
    back: list[Array | None] = []
    sides = []
    for n, own, wanted in zip(order.out_shape, spacing, card.spacing_mm, strict=True):
        is_same = abs(own - wanted) <= SAME_SPACING * wanted
        ratio = 1.0 if is_same else own / wanted
        # rounding up, so that the prior grid reaches as far as the scan
        n_own = int(np.ceil(n * ratio - 1e-6))
        n_padded = -(-n_own // card.multiple) * card.multiple
        sides.append(n_padded)
        is_untouched = is_same and n_padded == n
        there.append(None if is_untouched else hat_matrix(n, n_padded, 1.0 / ratio, n_own))
        back.append(None if is_untouched else hat_matrix(n_padded, n, ratio, n, inner=n_own))
    shape = (sides[0], sides[1], sides[2])
    V = Composed(SeparableOperator(order.out_shape, (there[0], there[1], there[2])), order)
    W = Composed(order.H, SeparableOperator(shape, (back[0], back[1], back[2])))
    return Placement(W, V, shape)


def _oriented(fine: Grid, card: GridCard) -> AxisOrder:
    """Return what turns the axes of a scan into those nearest to a prior's directions."""
    own = fine.affine[:3, :3] / np.asarray(fine.spacing_mm)
    # cosines between the axes of the prior (rows) and those of the scan
    cosines = directions(card.axcodes).T @ own
    rows = np.arange(3)
    order = max(
        permutations(range(3)), key=lambda axes: float(np.abs(cosines[rows, list(axes)]).sum())
    )
    against = tuple(row for row in range(3) if cosines[row, order[row]] < 0.0)
    return AxisOrder(fine.shape, order, against)


def place_fixed(fine: Grid, prior: Grid, prior_world_from_scan_world: Affine) -> Placement:
    """Lay a fixed prior's grid over a scan in a known pose.

    Args:
        fine: The fine grid.
        prior: The prior's grid.
        prior_world_from_scan_world: Rigid motion in RAS mm, shape (4, 4).
    """
    scan_world_from_prior_world: Affine = np.asarray(np.linalg.inv(prior_world_from_scan_world))
    return Placement(
        RigidResample(prior, fine, prior_world_from_scan_world),
        RigidResample(fine, prior, scan_world_from_prior_world),
        prior.shape,
    )


def hat_matrix(
    n_in: int, n_out: int, step: float, n_inside: int, inner: int | None = None
) -> Array:
    """Weights that resample an axis about its middle by hat functions.

    Refining, that is linear interpolation; coarsening, the hat is as wide as two of the coarser
    voxels, so that nothing aliases. Beyond the last voxel of the source it is repeated.

    Args:
        n_in: Voxels of the source.
        n_out: Voxels of the result.
        step: Length of a voxel of the result in voxels of the source.
        n_inside: Voxels of the result that share the source's middle; the others are padding
            after them.
        inner: Voxels of the source that share that middle; None for all.

    Returns:
        Matrix of shape (n_out, n_in), rows summing to one.
    """
    middle_in = ((n_in if inner is None else inner) - 1) / 2.0
    positions = middle_in + (np.arange(n_out) - (n_inside - 1) / 2.0) * step
    positions = np.clip(positions, 0.0, n_in - 1.0)
    distance = np.abs(positions[:, None] - np.arange(n_in)[None])
    weights = np.clip(1.0 - distance / max(step, 1.0), 0.0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float64)


def soft_mask(inside: Tensor, spacing_mm: tuple[float, float, float]) -> Tensor:
    """Return a mask that rises from 0 at the edge of a region to 1 some millimetres within.

    Args:
        inside: Region, above 0.5 inside.
        spacing_mm: Voxel size along each axis.

    Returns:
        Mask of the same shape, 0 outside the region. The edge of the image is no edge of the
        region: nothing has to fade there.
    """
    region = (inside > 0.5).cpu().numpy()
    if region.all():
        return torch.ones_like(inside)
    depth = torch.from_numpy(distance_transform_edt(region, sampling=spacing_mm))
    u = (depth / FADE_MM).clamp(0.0, 1.0)
    return (u * u * (3.0 - 2.0 * u)).to(inside)
