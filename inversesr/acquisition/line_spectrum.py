"""Power of an image along an axis, by pieces of lines that lie within the tissue."""

import numpy as np
from numpy.typing import NDArray

from inversesr.volume import Image

Mask = NDArray[np.bool_]
Spectrum = NDArray[np.float64]

# Samples in a piece of a line, fewer where an axis is shorter; pieces that are enough to tell.
LONGEST_PIECE, SHORTEST_PIECE = 32, 16
MOST_PIECES, LEAST_PIECES = 8192, 200


def line_spectrum(
    y: Image, is_tissue: Mask, axis: int, spacing: float
) -> tuple[Spectrum, Spectrum] | None:
    """Return frequencies in cycles/mm, without 0, and the power density along an axis in decibels.

    Args:
        y: Image.
        is_tissue: Where it shows something, the shape of y.
        axis: The axis.
        spacing: Distance between voxels along it in mm.

    Returns:
        Both of one length; None where too few lines lie within the tissue.
    """
    pieces = _pieces(np.moveaxis(y, axis, -1), np.moveaxis(is_tissue, axis, -1))
    if pieces is None:
        return None
    n = pieces.shape[1]
    line = np.linspace(-1.0, 1.0, n)
    pieces = pieces - pieces.mean(axis=1, keepdims=True)
    pieces -= np.outer(pieces @ line / (line @ line), line)
    window = np.hanning(n + 2)[1:-1]
    power = np.mean(np.abs(np.fft.rfft(pieces * window, axis=1)) ** 2, axis=0)[1:]
    density = power * spacing / (window @ window)
    frequency = np.asarray(np.fft.rfftfreq(n, spacing)[1:], dtype=np.float64)
    return frequency, 10.0 * np.log10(np.maximum(density, 1e-30))


def _pieces(y: Image, is_tissue: Mask) -> Spectrum | None:
    """Return pieces of lines along the last axis that lie within the tissue; None if too few."""
    n = min(LONGEST_PIECE, y.shape[-1] // 2 * 2)
    if n < SHORTEST_PIECE:
        return None
    rng = np.random.default_rng(0)
    starts = range(0, y.shape[-1] - n + 1, n // 2)
    found = []
    for start in starts:
        i, j = np.nonzero(is_tissue[..., start : start + n].all(axis=-1))
        most = MOST_PIECES // len(starts) + 1
        if i.size > most:
            chosen = rng.choice(i.size, most, replace=False)
            i, j = i[chosen], j[chosen]
        found.append(y[i, j, start : start + n].astype(np.float64))
    pieces = np.concatenate(found)
    return pieces if len(pieces) >= LEAST_PIECES else None
