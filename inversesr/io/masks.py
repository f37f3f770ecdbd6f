"""Masks: image files that mark a part of a scan, brought onto its voxels by their place."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.io.header import VoxelSize
from inversesr.io.nifti import Scan, read_scan
from inversesr.volume import Affine, Grid, Image, Volume

# A mask that loses more than this share of its voxels was drawn in another place.
MOST_LOST_SHARE = 0.05
# That is counted on so many of its voxels.
MOST_POINTS = 200_000


def read_mask(
    path: Path, grid: Grid, voxel_size: VoxelSize | None = None
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Read a mask and bring it onto a grid (nearest neighbour).

    Args:
        path: Image file, above 0 inside.
        grid: The voxels of the scan.
        voxel_size: What the user stated of the scan; it holds for a mask of the same shape.

    Returns:
        Where the mask is, shape grid.shape, and what is odd about it, in sentences.

    Raises:
        InputError: the file is unusable, or the mask is empty on that grid.
        MachineError: this machine could not read it.
    """
    from scipy.ndimage import affine_transform

    mask = read_scan(path, is_mask=True)
    if voxel_size is not None and mask.volume.grid.shape == grid.shape:
        mask = read_scan(path, voxel_size=voxel_size, is_mask=True)
    marked = mask.volume.data > 0
    mask_from_grid = np.linalg.inv(mask.volume.grid.affine) @ grid.affine
    inside = np.asarray(
        affine_transform(
            marked.astype(np.uint8), mask_from_grid, output_shape=grid.shape, order=0
        ),
        dtype=bool,
    )
    if not marked.any():
        message = f"{path.name} marks nothing: expected a mask that is above 0 somewhere"
        raise InputError(message)
    if not inside.any():
        message = f"{path.name} marks nothing inside the scan: expected a mask in the same space"
        raise InputError(message)
    return inside, (*mask.warnings, *_doubts(mask.volume, marked, grid, path.name))


def read_labels(path: Path, grid: Grid) -> NDArray[np.int32]:
    """Read a label map and bring it onto a grid (nearest neighbour).

    Args:
        path: Image file of whole numbers.
        grid: Voxels.

    Returns:
        Labels, shape grid.shape; 0 where the map does not reach.

    Raises:
        InputError: the file is unusable, holds other numbers, or nothing on that grid.
    """
    from scipy.ndimage import affine_transform

    labels = read_scan(path, is_mask=True).volume
    if not np.array_equal(labels.data, np.round(labels.data)):
        message = f"{path.name} holds fractions; expected a label map of whole numbers"
        raise InputError(message)
    found = np.asarray(
        affine_transform(
            labels.data.astype(np.int32),
            np.linalg.inv(labels.grid.affine) @ grid.affine,
            output_shape=grid.shape,
            order=0,
        ),
        dtype=np.int32,
    )
    if not found.any():
        message = f"{path.name} labels nothing inside the image: expected one in the same space"
        raise InputError(message)
    return found


def read_regions(
    files: Sequence[Path | None], scan: Scan, voxel_size: VoxelSize | None = None
) -> tuple[list[Image | None], Scan]:
    """Read masks on the voxels of a scan; what is odd about them is told with the scan.

    Args:
        files: Image files; None where there is none.
        scan: The scan.
        voxel_size: See `read_mask`.

    Returns:
        For each file where it marks the scan (1) and where it does not (0), and the scan.
    """
    found: list[Image | None] = []
    for file in files:
        if file is None:
            found.append(None)
            continue
        inside, remarks = read_mask(file, scan.volume.grid, voxel_size)
        found.append(inside.astype(np.float32))
        scan = replace(scan, warnings=(*scan.warnings, *remarks))
    return found, scan


def _doubts(mask: Volume, marked: NDArray[np.bool_], grid: Grid, label: str) -> list[str]:
    """Return why a mask may have been meant for another place, in sentences."""
    apart = 0.0
    if mask.grid.shape == grid.shape:
        apart = mask.grid.farthest_mm(grid)
    if apart > min(grid.spacing_mm) / 2.0:
        return [
            f"{label} has as many voxels as the scan but lies up to {apart:.3g} mm elsewhere: it "
            "is used where its own header places it; if it was drawn on the scan, give it the "
            "scan's header"
        ]
    lost = _share_outside(marked, np.linalg.inv(grid.affine) @ mask.grid.affine, grid)
    if lost > MOST_LOST_SHARE:
        return [f"{lost:.0%} of {label} lies outside the scan: check that it belongs to it"]
    return []


def _share_outside(marked: NDArray[np.bool_], grid_from_mask: Affine, grid: Grid) -> float:
    """Return which share of a mask's voxels have their centres outside a grid."""
    voxels = np.argwhere(marked)
    voxels = voxels[:: len(voxels) // MOST_POINTS + 1]
    found = voxels @ grid_from_mask[:3, :3].T + grid_from_mask[:3, 3]
    is_inside = (found >= -0.5) & (found <= np.array(grid.shape) - 0.5)
    return 1.0 - float(is_inside.all(axis=1).mean())
