"""Finds the brain in a scan: by deepbet, or by what is not zero where a scan is stripped already.

deepbet (MIT) carries its weights, about 17 MB, and comes with the extra `[brainmask]`. Its masks
of T1, T2 and FLAIR, thick slices and thin, were looked at: docs/decisions/005-deepbet.md.

Reference: Fisch, Zumdick, Barkhau, Emden, Ernsting et al. (2023), deepbet: fast brain extraction
of T1-weighted MRI using convolutional neural networks, doi:10.48550/arXiv.2308.07003.
"""

import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inversesr.errors import InputError
from inversesr.volume import Grid, Image, Volume

Mask = NDArray[np.bool_]

# A whole brain with its fluid has as much, of a small child's and of the largest adult's head.
SMALLEST_ML, LARGEST_ML = 700.0, 2200.0
# What lies apart from the largest piece is stray voxels, or else the mask is wrong.
LEAST_IN_ONE_PIECE = 0.95
THRESHOLD = 0.5
# Share of a scan's bright level up to which a voxel is empty: resampling leaves ripples.
EMPTY = 0.01
# Of a stripped scan's outermost voxels this share may be brain: one that is cropped close.
MOST_AT_BORDER = 0.05
# No brain is longer; a head with face and neck is.
LONGEST_MM = 210.0


def brain_mask(volume: Volume) -> Mask:
    """Mark the brain in a scan.

    Args:
        volume: Scan of a head or of a stripped brain, of any contrast, spacing and axis order.

    Returns:
        Mask on the grid of volume, in one piece and without holes.

    Raises:
        InputError: deepbet is not installed and the scan is not stripped, or what was found is
            no whole brain.
    """
    stripped = stripped_region(volume)
    return _by_deepbet(volume) if stripped is None else stripped


def has_deepbet() -> bool:
    """Whether the extra `[brainmask]` is installed."""
    return find_spec("deepbet") is not None


def stripped_region(volume: Volume) -> Mask | None:
    """Return the brain of a scan from which everything else was removed, or None for others.

    Such a scan is zero at its border, and what is not zero has the size of a brain.

    Args:
        volume: The scan.
    """
    marked = np.abs(volume.data) > EMPTY * np.percentile(volume.data, 99.0)
    at_border = np.ones(marked.shape, dtype=np.bool_)
    at_border[1:-1, 1:-1, 1:-1] = False
    if marked[at_border].mean() > MOST_AT_BORDER:
        return None
    try:
        region = whole_brain(marked, volume.grid)
    except InputError:
        return None
    found = ndimage.find_objects(region.astype(np.int8))[0]
    extents = zip(found, volume.grid.spacing_mm, strict=True)
    longest_mm = max((side.stop - side.start) * s for side, s in extents)
    return region if longest_mm <= LONGEST_MM else None


def whole_brain(mask: Mask, grid: Grid) -> Mask:
    """Return a mask without stray voxels and holes, if it can be that of a whole brain.

    Args:
        mask: Mask on the grid.
        grid: Its voxels.

    Raises:
        InputError: the mask is too small, too large, or in pieces.
    """
    piece = one_piece(mask)
    ml = float(piece.sum() * np.prod(grid.spacing_mm)) / 1000.0
    n_marked = int(mask.sum())
    share = float((mask & piece).sum()) / n_marked if n_marked else 0.0
    if not SMALLEST_ML <= ml <= LARGEST_ML or share < LEAST_IN_ONE_PIECE:
        message = (
            f"the brain mask has {ml:.0f} mL in its largest piece, which is {100 * share:.0f} % "
            f"of it; expected {SMALLEST_ML:.0f} to {LARGEST_ML:.0f} mL in one piece: give the "
            "mask of a whole brain with --mask"
        )
        raise InputError(message)
    return piece


def one_piece(mask: Mask) -> Mask:
    """Keep the largest component and fill what it encloses."""
    pieces, n = ndimage.label(mask)
    if n == 0:
        return mask
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    box = ndimage.find_objects(pieces, max_label=largest)[-1]
    # what is connected with the rim about the box is outside, and all the rest is not
    outside, _ = ndimage.label(np.pad(pieces[box] != largest, 1, constant_values=True))
    whole = np.zeros(mask.shape, dtype=np.bool_)
    whole[box] = (outside != outside[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return whole


def _by_deepbet(volume: Volume) -> Mask:
    order, flips = volume.grid.ras_order, volume.grid.ras_flips
    data = np.ascontiguousarray(to_ras(volume.data, order, flips), dtype=np.float32)
    try:
        # in a scan without contrast it finds nothing to look at, and says so in these ways
        probability = _network().run_model(data.copy())
    except (AssertionError, ValueError):
        probability = np.zeros(data.shape)
    return whole_brain(from_ras(probability > THRESHOLD, order, flips), volume.grid)


def _network() -> Any:  # noqa: ANN401 (deepbet has no types)
    if not has_deepbet():
        message = (
            "no brain mask was given and deepbet, which finds one, is not installed: "
            "pip install 'inversesr[brainmask]', or give --mask"
        )
        raise InputError(message)
    with warnings.catch_warnings():
        # TorchScript, in which its weights are stored, is marked as deprecated by torch
        warnings.simplefilter("ignore")
        from deepbet import BrainExtraction

        return BrainExtraction(no_gpu=True)


def to_ras(data: Image, order: tuple[int, ...], flips: tuple[int, ...]) -> Image:
    """Order and flip axes so that they run right, anterior, superior."""
    return np.flip(data.transpose(order), flips)


def from_ras(mask: Mask, order: tuple[int, ...], flips: tuple[int, ...]) -> Mask:
    """Undo `to_ras`."""
    return np.ascontiguousarray(np.flip(mask, flips).transpose(np.argsort(order)))
