"""Matrices of texture: grey levels that lie beside one another in a region.

The definitions are those of the Image Biomarker Standardisation Initiative: neighbours at
distance 1 in all 13 directions of 3D; co-occurrences of all directions are merged.

Reference: Zwanenburg, Vallieres, Abdalah, Aerts et al. (2020), The Image Biomarker
Standardization Initiative, Radiology 295(2):328-338, doi:10.1148/radiol.2020191145.
"""

from itertools import product

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.int64]
Array = NDArray[np.float64]
# half of the 26 neighbours: the others are the same pairs
DIRECTIONS = [d for d in product((-1, 0, 1), repeat=3) if d > (0, 0, 0)]


def cooccurrence(levels: Levels) -> Array:
    """Return how often grey levels are neighbours, symmetric, with sum 1.

    Args:
        levels: 1 to n_levels inside the region, 0 outside, shape (X, Y, Z).

    Returns:
        Shares, shape (n_levels, n_levels); zeros where no two voxels are neighbours.
    """
    n = int(levels.max())
    padded = np.pad(levels, 1)
    counts = np.zeros(n * n, dtype=np.int64)
    for direction in DIRECTIONS:
        shifted = np.roll(padded, direction, axis=(0, 1, 2))
        both = (padded > 0) & (shifted > 0)
        counts += np.bincount((padded[both] - 1) * n + shifted[both] - 1, minlength=n * n)
    matrix = counts.reshape(n, n).astype(np.float64)
    matrix = matrix + matrix.T
    return np.asarray(matrix / max(matrix.sum(), 1.0))


def tone_difference(levels: Levels) -> tuple[Array, Array]:
    """Return for each grey level how many voxels have it, and how far its neighbours differ.

    Args:
        levels: See `cooccurrence`.

    Returns:
        Voxels with a neighbour in the region, and the sum of |level - mean of neighbours|, both of
        shape (n_levels,).
    """
    padded = np.pad(levels, 1)
    total = np.zeros(padded.shape)
    count = np.zeros(padded.shape)
    for direction in product((-1, 0, 1), repeat=3):
        if any(direction):
            shifted = np.roll(padded, direction, axis=(0, 1, 2))
            total += shifted
            count += shifted > 0
    valid = (padded > 0) & (count > 0)
    difference = np.abs(padded[valid] - total[valid] / count[valid])
    n = int(levels.max())
    index = padded[valid] - 1
    return (
        np.bincount(index, minlength=n).astype(np.float64),
        np.bincount(index, weights=difference, minlength=n).astype(np.float64),
    )
