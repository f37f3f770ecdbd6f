"""A restored image against the truth, wherever their voxels lie."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.ndimage import affine_transform

from inversesr.acquisition.foreground import Mask, foreground
from inversesr.errors import InputError
from inversesr.evaluation.metrics import SSIM_VOXELS, intensity_range, nmse, psnr, ssim
from inversesr.volume import Grid, Image, Volume

# Lattices that differ by less than this, in voxels, are the same: no interpolation is needed.
SAME_LATTICE = 0.02
LEAST_VOXELS = 100


@dataclass(frozen=True)
class Scores:
    """How close an image is to the truth.

    Attributes:
        psnr_db: Peak signal-to-noise ratio in dB.
        ssim: Structural similarity, 1 for identical.
        nmse: Squared error over squared truth.
        data_range: Intensity range that psnr_db and ssim refer to.
        n_voxels: Voxels compared.
        resampled: Whether the image had to be interpolated onto the voxels of truth.
        warnings: What is odd about the files, in sentences.
    """

    psnr_db: float
    ssim: float
    nmse: float
    data_range: float
    n_voxels: int
    resampled: bool
    warnings: tuple[str, ...] = ()


def score_volume(image: Volume, truth: Volume, mask: Mask | None = None) -> Scores:
    """Compare an image with the truth, voxel by voxel of truth.

    Args:
        image: Image to judge, on any grid in the same world.
        truth: What it should be.
        mask: Voxels of truth to compare; None for its foreground.

    Raises:
        InputError: the image covers less than half of the mask, or truth is too small.
    """
    compared = foreground(truth.data) if mask is None else mask
    x, covered, resampled = onto(image, truth.grid)
    share = float(covered[compared].mean()) if compared.any() else 0.0
    if share < 0.5 or int(compared.sum()) < LEAST_VOXELS:
        message = (
            f"the image covers {share:.0%} of the truth to compare; expected most of it: "
            "check that both are of the same subject and in the same space"
        )
        raise InputError(message)
    inside = compared & covered
    if min(truth.grid.shape) < SSIM_VOXELS:
        message = (
            f"the truth has the shape {truth.grid.shape}; expected at least {SSIM_VOXELS} voxels "
            "along each axis, which SSIM needs"
        )
        raise InputError(message)
    data_range = intensity_range(truth.data)
    return Scores(
        psnr_db=psnr(x, truth.data, inside, data_range),
        ssim=ssim(x, truth.data, inside, data_range),
        nmse=nmse(x, truth.data, inside),
        data_range=data_range,
        n_voxels=int(inside.sum()),
        resampled=resampled,
    )


def onto(image: Volume, grid: Grid) -> tuple[Image, Mask, bool]:
    """Return an image on another grid, where it is defined, and whether it was interpolated.

    On the same lattice it is only shifted by whole voxels. Beyond its edge the outermost voxels
    are repeated.
    """
    image_from_grid = np.linalg.inv(image.grid.affine) @ grid.affine
    shift = np.round(image_from_grid[:3, 3])
    corners = np.array(grid.shape, dtype=np.float64)
    drift = np.abs(image_from_grid[:3, :3] - np.eye(3)) @ corners
    drift += np.abs(image_from_grid[:3, 3] - shift)
    is_same_lattice = bool(drift.max() < SAME_LATTICE)
    if is_same_lattice:
        image_from_grid = np.eye(4)
        image_from_grid[:3, 3] = shift
    order: Literal[0, 3] = 0 if is_same_lattice else 3
    x = affine_transform(
        image.data, image_from_grid, output_shape=grid.shape, order=order, mode="nearest"
    )
    ones = np.ones(image.grid.shape, dtype=np.uint8)
    covered = affine_transform(
        ones, image_from_grid, output_shape=grid.shape, order=0, mode="constant"
    )
    return x, covered.astype(bool), not is_same_lattice
