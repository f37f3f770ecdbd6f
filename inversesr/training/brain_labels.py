"""Label maps of heads with the mask of the brain in each, to train what finds the brain."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional

from inversesr.acquisition.brain_mask import Mask, one_piece, to_ras
from inversesr.acquisition.brain_network import VOXEL_MM
from inversesr.io.nifti import read_scan
from inversesr.training.synthetic import FIRST_OUTSIDE_BRAIN
from inversesr.volume import Volume

Labels = NDArray[np.int16]
# FreeSurfer numbers: fluid about the brain; the cortex, and where its parcels begin.
OUTER_FLUID, CORTEX, FIRST_PARCEL = 24, 3, 1000
CLOSING_MM, RIM_MM, DEEP_MM = 6.0, 1.0, 5.0
# label voxels a side of a voxel of the network's grid
FINE = 2


@dataclass(frozen=True, eq=False)
class LabelledHead:
    """A label map in RAS order, cropped to the head.

    Attributes:
        name: File name without its suffix.
        labels: FreeSurfer labels at 1.5 mm, int16, shape (2 X, 2 Y, 2 Z).
        mask: Share of each voxel of 3 mm that is brain, uint8, 255 is all, shape (X, Y, Z).
    """

    name: str
    labels: torch.Tensor
    mask: torch.Tensor


def read_heads(paths: Iterable[Path]) -> list[LabelledHead]:
    """Read label maps; those of stripped brains are left out.

    Raises:
        InputError: a file is no image, or damaged.
    """
    volumes = [(read_scan(path).volume, path.name.split(".nii")[0]) for path in paths]
    return [labelled_head(volume, name) for volume, name in volumes if shows_head(volume)]


def shows_head(volume: Volume) -> bool:
    """Whether a label map holds what lies outside the brain."""
    outside = (volume.data >= FIRST_OUTSIDE_BRAIN) & (volume.data < FIRST_PARCEL)
    return bool(outside.any())


def labelled_head(volume: Volume, name: str) -> LabelledHead:
    """Find the brain in a label map and crop it to the head."""
    labels = ras_labels(volume)
    spacing_mm = tuple(volume.grid.spacing_mm[axis] for axis in volume.grid.ras_order)
    mask = mask_of_labels(labels, spacing_mm)
    box = ndimage.find_objects((labels > 0).astype(np.int8))[0]
    picked = np.ix_(*[places(side, mm) for side, mm in zip(box, spacing_mm, strict=True)])
    share = functional.avg_pool3d(torch.from_numpy(mask[picked])[None].float(), FINE)[0]
    return LabelledHead(name, torch.from_numpy(labels[picked]), (255.0 * share).round().byte())


def places(side: slice, spacing_mm: float) -> NDArray[np.int64]:
    """Return which voxels of a side to keep, so that they are 1.5 mm apart; an even number."""
    step = VOXEL_MM / FINE / spacing_mm
    n = FINE * int((side.stop - side.start) / (FINE * step))
    return np.asarray(side.start + (np.arange(n) + 0.5) * step, dtype=np.int64)


def ras_labels(volume: Volume) -> Labels:
    """Return labels in RAS order, the parcels of the cortex as cortex."""
    labels = to_ras(volume.data, volume.grid.ras_order, volume.grid.ras_flips).astype(np.int16)
    return np.where(labels >= FIRST_PARCEL, CORTEX, labels).astype(np.int16)


def mask_of_labels(labels: Labels, spacing_mm: tuple[float, ...]) -> Mask:
    """Mark tissue closed by a ball, what it encloses, and a rim of fluid; not fluid alone.

    Args:
        labels: FreeSurfer labels; those from 500 on lie outside the brain.
        spacing_mm: Their voxel sizes.
    """
    brain = (labels > 0) & (labels < FIRST_OUTSIDE_BRAIN)
    tissue = one_piece(brain & (labels != OUTER_FLUID))
    margins = [int(np.ceil(2 * CLOSING_MM / s)) for s in spacing_mm]
    sides = ndimage.find_objects(tissue.astype(np.int8))[0]
    pairs = zip(sides, margins, strict=True)
    box = tuple(slice(max(0, side.start - m), side.stop + m) for side, m in pairs)
    near = ndimage.distance_transform_edt(~tissue[box], spacing_mm) <= CLOSING_MM
    depth = ndimage.distance_transform_edt(near, spacing_mm)
    inside = brain[box] | (depth > CLOSING_MM + DEEP_MM)
    closed = (depth > CLOSING_MM - RIM_MM) & inside
    mask = np.zeros(labels.shape, dtype=np.bool_)
    mask[box] = one_piece(closed | tissue[box])
    return mask
