"""Planes of an image as a radiologist sees them, and the intensities that are shown.

Superior (or anterior) is up and the patient's right is on the left.
"""

import numpy as np
from numpy.typing import NDArray

from inversesr.acquisition.foreground import foreground
from inversesr.volume import Grid, Volume

# Scalp and fat are brighter than the brain: white at the very top would leave it dark. Where they
# fill many voxels, white is this many times the typical intensity of the head.
DISPLAY_PERCENTILES = (0.5, 98.0)
BRIGHT_OVER_TYPICAL = 2.2
# Below this share of white lies air, whose noise can pass for foreground.
AIR_SHARE = 0.1
PLANES = ("sagittal", "coronal", "axial")


def intensity_window(volume: Volume) -> tuple[float, float]:
    """Return the intensities that are shown black and white."""
    low, high = intensity_range(volume)
    head = foreground(volume.data)
    head &= volume.data > AIR_SHARE * high
    typical = float(np.median(volume.data[head])) if head.any() else high
    brighter = low + BRIGHT_OVER_TYPICAL * (typical - low)
    return low, min(high, brighter) if brighter > low else high


def intensity_range(volume: Volume) -> tuple[float, float]:
    """Return the intensities between which differences are kept for display."""
    low, high = np.percentile(volume.data, DISPLAY_PERCENTILES).tolist()
    if high <= low:
        low, high = float(volume.data.min()), float(volume.data.max())
    return low, high


def anatomical_plane(
    volume: Volume, axis: int, index: int | None = None
) -> tuple[NDArray[np.float32], float]:
    """Return one plane ready to show, and its aspect.

    Args:
        volume: Image in any orientation.
        axis: 0, 1, 2 for the sagittal, coronal, axial plane.
        index: Which one, counted towards R, A, S; None for the middle.
    """
    order = volume.grid.ras_order
    data = np.flip(volume.data.transpose(order), volume.grid.ras_flips)
    spacing = [volume.grid.spacing_mm[a] for a in order]
    plane = np.take(data, data.shape[axis] // 2 if index is None else index, axis=axis)
    across, up = [a for a in range(3) if a != axis]
    shown = plane.T[::-1]
    if across == 0:
        shown = shown[:, ::-1]
    return shown, spacing[up] / spacing[across]


def nearest_index(grid: Grid, axis: int, at_mm: tuple[float, float, float]) -> int:
    """Return which plane, counted towards R, A, S, lies nearest to a point in the world."""
    voxel_axis = grid.ras_order[axis]
    position = np.linalg.inv(grid.affine) @ np.array([*at_mm, 1.0])
    n = grid.shape[voxel_axis]
    index = int(np.clip(np.round(position[voxel_axis]), 0, n - 1))
    return n - 1 - index if grid.axcodes[voxel_axis] in "LPI" else index


def middle_voxel_mm(grid: Grid) -> tuple[float, float, float]:
    """Return the centre of the middle voxel, counted towards R, A, S along each axis."""
    middle = [
        n - 1 - n // 2 if code in "LPI" else n // 2
        for n, code in zip(grid.shape, grid.axcodes, strict=True)
    ]
    x, y, z = (grid.affine @ [*middle, 1.0])[:3]
    return float(x), float(y), float(z)
