"""A low quantile in overlapping windows of a scan: what varies slowly from place to place."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from inversesr.acquisition.noise_blocks import QUANTILE, STRIDE
from inversesr.volume import Image

WINDOW_MM = 20.0
# So many blocks tell something of a window.
LEAST_IN_WINDOW = 120
# Share of windows that must tell something; widths over which others are filled, in windows.
LEAST_KNOWN, FILLING_WIDTHS = 0.05, (1.0, 2.0, 4.0)
N_ROUNDS = 3


def by_window(shown: Image, spacing: Sequence[float]) -> Image:
    """Return the low quantile within overlapping windows; NaN where too few blocks are tissue."""
    steps = [
        max(1, round(WINDOW_MM / 2.0 / (mm * stride)))
        for mm, stride in zip(spacing, (STRIDE, STRIDE, 1), strict=True)
    ]
    n_windows = [max(1, round(n / step)) for n, step in zip(shown.shape, steps, strict=True)]
    return _quantiles(shown, n_windows)


def _quantiles(shown: Image, n_windows: Sequence[int]) -> Image:
    """Return the low quantile within so many windows along each axis, twice as long as apart."""
    found = np.full(n_windows, np.nan, dtype=np.float32)
    for index in np.ndindex(*n_windows):
        box = tuple(
            slice(max(0, int((i - 0.5) * n / m)), int(np.ceil((i + 1.5) * n / m)))
            for i, n, m in zip(index, shown.shape, n_windows, strict=True)
        )
        values = shown[box][np.isfinite(shown[box])]
        if values.size >= LEAST_IN_WINDOW:
            found[index] = np.quantile(values, QUANTILE)
    return found


def settled(shown: Image, windows: Image) -> Image | None:
    """Return windows without holes, whose low quantile is not that of their quiet side.

    Where noise varies within a window its low quantile is that of the quiet side. Divided by the
    map, blocks vary no more: their low quantile tells by how much the map is too low there.

    Args:
        shown: Noise by each block.
        windows: Its low quantile in windows; NaN where it tells nothing, or texture.

    Returns:
        The windows; None where too few tell anything.
    """
    known = np.isfinite(windows)
    if float(known.mean()) < LEAST_KNOWN:
        return None
    found = _filled(windows)
    for _ in range(N_ROUNDS):
        ratio = _quantiles(shown / on_grid(found, shown.shape), windows.shape)
        found = found * _filled(np.where(known, ratio, np.nan))
    return found


def _filled(windows: Image) -> Image:
    """Fill windows that tell nothing from the nearest that do, smoothly."""
    known = np.isfinite(windows)
    values = np.where(known, windows, 0.0)
    filled, weight = values, known.astype(np.float32)
    for width in FILLING_WIDTHS:
        near = gaussian_filter(weight, width)
        there = (weight == 0.0) & (near > 1e-3)
        filled = np.where(
            there, gaussian_filter(filled * weight, width) / np.maximum(near, 1e-9), filled
        )
        weight = np.maximum(weight, there)
    return np.asarray(np.where(weight > 0.0, filled, values[known].mean()), dtype=np.float32)


def on_grid(windows: Image, shape: tuple[int, ...]) -> Image:
    """Interpolate windows linearly to a finer grid of the same field of view."""
    places = [
        (np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(shape, windows.shape, strict=True)
    ]
    grid = np.meshgrid(*places, indexing="ij", sparse=False)
    return np.asarray(map_coordinates(windows, grid, order=1, mode="nearest", output=np.float32))
