"""Brings brains into one pose and onto one grid, as a prior with a fixed grid needs them.

Each brain is turned and shifted onto a template, never stretched: its size is its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter

from inversesr.acquisition.registration import register_rigid
from inversesr.errors import InputError
from inversesr.io.nifti import read_scan
from inversesr.training.scans import LABEL_WORDS, to_bytes
from inversesr.training.synthetic import (
    CONTRASTS,
    FIRST_OUTSIDE_BRAIN,
    FLUID_OF_BOTH_SIDES,
    WHITE_OF_BOTH_SIDES,
)
from inversesr.volume import Affine, Grid, Image, Volume

# Only what is wider than this is compared: people differ in their folds.
SMOOTHING_MM = 2.0
# of a template's brain, as a share of its bright level
FOREGROUND_SHARE = 0.1
FIRST_PARCEL, CORTEX = 1000, 3


@dataclass(frozen=True, eq=False)
class AlignedBrain:
    """A brain on the grid of a prior.

    Attributes:
        name: File name without its suffix.
        voxels: Intensities, uint8, 255 is white, or FreeSurfer labels, int16; 0 outside.
        quality: Correlation with the template, smoothed, -1 to 1.
    """

    name: str
    voxels: NDArray[np.uint8] | NDArray[np.int16]
    quality: float


def align_brains(paths: Sequence[Path], template: Volume, grid: Grid) -> Iterator[AlignedBrain]:
    """Bring brains, one after the other, onto a template and into a grid.

    Args:
        paths: Images without skull, and label maps (a word such as "seg" in their name); labels
            outside the brain are removed.
        template: Image of a brain in the pose that is wanted.
        grid: Where the brains are to lie.

    Raises:
        InputError: a file is no image, or does not overlap with the template.
    """
    for path in paths:
        scan, name = read_scan(path).volume, path.name.split(".nii")[0]
        is_labels = bool(LABEL_WORDS.intersection(name.lower().split("_")))
        brain = cropped(scan.with_data(brain_labels(scan.data)) if is_labels else scan)
        seen = brain.with_data(as_t1(brain.data)) if is_labels else brain
        pose = pose_of(seen, template)
        image = resampled(seen.data, seen.grid, grid, pose, order=1)
        quality = likeness(image, resampled(template.data, template.grid, grid, np.eye(4), 1))
        carried = resampled(brain.data, brain.grid, grid, pose, order=0 if is_labels else 3)
        voxels = carried.astype(np.int16) if is_labels else to_bytes(carried)
        yield AlignedBrain(name, voxels, quality)


def brain_labels(data: Image) -> Image:
    """Return labels of the brain alone, the parcels of the cortex as cortex."""
    labels = np.rint(data)
    labels = np.where(labels >= FIRST_PARCEL, CORTEX, labels)
    return np.where(labels < FIRST_OUTSIDE_BRAIN, labels, 0).astype(np.float32)


def as_t1(labels: Image) -> Image:
    """Paint labels with the plain intensities of a T1-weighted image."""
    white, grey, fluid = CONTRASTS["T1w"]
    palette = np.full(FIRST_OUTSIDE_BRAIN, grey, dtype=np.float32)
    palette[list(WHITE_OF_BOTH_SIDES)] = white
    palette[list(FLUID_OF_BOTH_SIDES)], palette[0] = fluid, 0.0
    return np.asarray(palette[labels.astype(np.int64)])


def pose_of(brain: Volume, template: Volume) -> Affine:
    """Return template_world_from_brain_world: a rotation and a shift."""
    middles = [middle_mm(volume) for volume in (template, brain)]
    start = np.eye(4)
    start[:3, 3] = middles[0] - middles[1]
    level = FOREGROUND_SHARE * np.percentile(template.data, 99.0)
    return register_rigid(template, brain, (template.data > level).astype(np.float32), start, 0)


def cropped(volume: Volume) -> Volume:
    """Cut away what surrounds a brain and is background.

    Raises:
        InputError: there is nothing else.
    """
    filled = np.argwhere(volume.data > 0.0)
    if not len(filled):
        message = "an image is empty; expected a brain: leave it out"
        raise InputError(message)
    first, last = filled.min(axis=0), filled.max(axis=0) + 1
    return volume.cropped(
        (slice(first[0], last[0]), slice(first[1], last[1]), slice(first[2], last[2]))
    )


def middle_mm(volume: Volume) -> NDArray[np.float64]:
    """Return the middle of what is not background, world millimetres."""
    filled = np.argwhere(volume.data > 0.0)
    affine = volume.grid.affine
    return np.asarray(affine[:3, :3] @ filled.mean(axis=0) + affine[:3, 3])


def resampled(
    data: Image, here: Grid, there: Grid, pose: Affine, order: Literal[0, 1, 3]
) -> Image:
    """Read an image where the voxels of another grid lie, by splines; 0 beyond its edge."""
    index = np.linalg.inv(here.affine) @ np.linalg.inv(pose) @ there.affine
    found: Image = affine_transform(
        np.asarray(data, np.float32),
        index[:3, :3],
        index[:3, 3].tolist(),
        output_shape=there.shape,
        order=order,
    )
    return np.maximum(found, np.float32(0.0))


def likeness(image: Image, template: Image) -> float:
    """Return the correlation of two images, smoothed, where either is not background."""
    smooth = [gaussian_filter(x, SMOOTHING_MM) for x in (image, template)]
    inside = (image > 0) | (template > 0)
    return float(np.corrcoef(smooth[0][inside], smooth[1][inside])[0, 1])
