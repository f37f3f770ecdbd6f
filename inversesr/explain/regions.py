"""Regions of a restored image of which it is told what was measured there."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inversesr.acquisition.geometry import first_slice_mm
from inversesr.measurements.slices import Task
from inversesr.volume import Grid, voxel_centres

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]

WHOLE, BRAIN, RIM, OUTSIDE = "whole image", "brain", "rim of the brain", "outside the brain"
CENTRES, BETWEEN = "centres of the slices, in the brain", "between the slices, in the brain"
# The outermost part of the brain is told apart: what a mask cuts off lies there.
RIM_MM = 5.0
# A voxel nearer to a slice's centre than this share of the distance of slices is at its centre.
NEAR_CENTRE = 0.25


def regions_of(task: Task, brain: Mask, labels: Mapping[str, Mask]) -> dict[str, Mask]:
    """Return the regions of an image by their names; empty ones are left out.

    Args:
        task: The scan.
        brain: The brain on the fine grid.
        labels: Further regions by their names.
    """
    centres = np.broadcast_to(near_centres(task), brain.shape)
    rim = brain & (depth_mm(brain, task.fine) < RIM_MM)
    found = {
        WHOLE: np.ones(brain.shape, dtype=np.bool_),
        BRAIN: brain,
        RIM: rim,
        OUTSIDE: ~brain,
        CENTRES: brain & centres,
        BETWEEN: brain & ~centres,
        **labels,
    }
    return {name: inside for name, inside in found.items() if inside.any()}


def depth_mm(brain: Mask, grid: Grid) -> NDArray[np.float64]:
    """Return how far within the brain each voxel lies, in mm; 0 outside."""
    padded = np.pad(brain, 1)
    depth = ndimage.distance_transform_edt(padded, sampling=grid.spacing_mm)
    return np.asarray(depth[1:-1, 1:-1, 1:-1])


def near_centres(task: Task) -> Mask:
    """Return which planes of thin voxels lie at the centre of a slice; of shape (1, 1, n) or so.

    Args:
        task: The scan; slices that are missing count as the others.
    """
    axis, acquisition = task.slice_axis, task.acquisition
    n, unit = task.fine.shape[axis], task.fine.plane_distance_mm[axis]
    turns = (voxel_centres(n, unit) - first_slice_mm(task.scan_grid, acquisition)) / (
        acquisition.slice_spacing_mm
    )
    is_near = np.abs(turns - np.round(turns)) < NEAR_CENTRE
    shape = [1, 1, 1]
    shape[axis] = n
    return np.asarray(is_near.reshape(shape), dtype=np.bool_)


def label_regions(labels: Labels) -> dict[str, Mask]:
    """Return one region for each label above 0."""
    return {f"label {n}": labels == n for n in np.unique(labels).tolist() if n > 0}
