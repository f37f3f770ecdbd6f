"""How noisy a scan is, from the scan alone: one number, or a map where noise varies.

    sigma(v) = q-quantile over blocks within a window about v of l / (c(q) rho)

l is the finest detail of a block and c(q) what noise alone leaves of it (`noise_blocks`); rho is
the share of the noise that magnitudes of low signal show. Where coils were combined by parallel
imaging the noise differs from place to place: windows tell.

Scans that were interpolated, or filtered, have no noise in their finest detail. That is seen by
comparing two scales of it, and then they are judged by the coarser one, as the median over all
tissue, which texture raises:

    sigma = median |y * k| / (0.6745 |k|),    k = second difference along both in-plane axes
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, uniform_filter

from inversesr.acquisition.foreground import air_level
from inversesr.acquisition.noise_blocks import (
    COARSE_ORDER,
    LEAST_INSIDE,
    ORDER,
    QUANTILE,
    Blocks,
    blocks_of,
    difference,
)
from inversesr.acquisition.noise_windows import by_window, on_grid, settled
from inversesr.acquisition.rician import shrinkage
from inversesr.volume import Image, Volume

Mask = NDArray[np.bool_]

# Standard deviation of a normal distribution over its median absolute value.
SIGMA_PER_MAD = 1.4826
# A voxel is tissue when brighter than this share of the scan's bright end: magnitude data is
# Rayleigh distributed in air, where the same noise looks 0.655 times as large.
TISSUE_SHARE = 0.15
BRIGHT_PERCENTILE = 99.0
LEAST_TISSUE_VOXELS = 1000
# Air this many standard deviations bright is rare: 1 % of it, by Rayleigh's distribution.
AIR_REACH = 3.0
# The first guess of sigma lets some air through, the next ones do not.
N_PASSES = 3
# Voxels whose mean is compared with air, within the slice.
CALMED = (3, 3)
# Background that was set to one value has this share of the voxels or more.
LEAST_MASKED_SHARE = 0.05
# Voxels below zero, as a share of the others: what magnitudes never have.
LEAST_NEGATIVE_SHARE, N_BINS = 0.005, 41
# So many blocks tell something.
LEAST_BLOCKS = 30
# White noise looks the same at both scales; below this share of the coarse one it is not white.
LEAST_WHITE = 0.8
# In a window where the coarse scale shows more than the fine one by this, there is texture.
LEAST_TEXTURED = 1.12
# The least ratio of noise between places that is no chance and no texture.
LEAST_VARIATION = 1.6
VARIATION_PERCENTILES = (10.0, 90.0)


@dataclass(frozen=True, eq=False)
class Noise:
    """What is found of the noise of a scan.

    Attributes:
        sigma: Standard deviation, root of its mean square over the tissue.
        is_white: Whether its finest detail is noise too: no interpolation, no filter.
        variation: How many times as large it is in noisy places as in quiet ones, 1 where it does
            not vary.
        windows: Standard deviation in each window, slices along the last axis; None where it does
            not vary.
    """

    sigma: float
    is_white: bool = True
    variation: float = 1.0
    windows: Image | None = None


def estimate_noise(volume: Volume, slice_axis: int) -> float:
    """Estimate the standard deviation of the noise of a scan.

    Args:
        volume: The scan in its own voxels: magnitudes (Rician noise), or of both signs.
        slice_axis: Axis across the slices; noise is judged within each slice.

    Returns:
        Standard deviation in the scan's intensities; 0 where it has no tissue to judge by.

    Reference: Immerkaer (1996), Fast noise variance estimation, Computer Vision and Image
    Understanding 64(2):300-302, doi:10.1006/cviu.1996.0060; the correction for low signal after
    Koay, Basser (2006), Analytically exact correction scheme for signal extraction from noisy
    magnitude MR signals, Journal of Magnetic Resonance 179(2):317-322,
    doi:10.1016/j.jmr.2006.01.016.
    """
    return find_noise(volume, slice_axis).sigma


def noise_map(volume: Volume, slice_axis: int) -> Image:
    """Estimate the standard deviation of the noise at every voxel, shape of the scan.

    Args:
        volume: The scan, as `estimate_noise` takes it.
        slice_axis: Axis across the slices.
    """
    found = find_noise(volume, slice_axis)
    if found.windows is None:
        return np.full(volume.grid.shape, found.sigma, dtype=np.float32)
    shape = np.moveaxis(volume.data, slice_axis, -1).shape
    return np.moveaxis(on_grid(found.windows, shape), -1, slice_axis)


def find_noise(volume: Volume, slice_axis: int) -> Noise:
    """Return all that is found of the noise of a scan; see `estimate_noise`."""
    y = np.moveaxis(volume.data, slice_axis, -1)
    counts = ~_masked(y)
    is_signed = bool(counts.any()) and has_both_signs(y[counts])
    rough = _median_noise(y, counts, is_signed=is_signed)
    if rough == 0.0:
        return Noise(0.0)
    # the mean of a few voxels tells tissue from air where noise is as large as the signal
    calm = y if is_signed else uniform_filter(y, (*CALMED, 1), mode="nearest")
    tissue = counts if is_signed else counts & _tissue(calm, min(rough, _bright(y) / AIR_REACH))
    fine, coarse = (
        _shown(blocks_of(y, tissue, order), y, is_signed=is_signed)
        for order in (ORDER, COARSE_ORDER)
    )
    if int(np.isfinite(fine).sum()) < LEAST_BLOCKS:
        return Noise(rough)
    sigma = float(np.nanquantile(fine, QUANTILE))
    if sigma < LEAST_WHITE * float(np.nanquantile(coarse, QUANTILE)):
        return Noise(rough, is_white=False)
    mm = volume.grid.spacing_mm
    spacing = [*(mm[axis] for axis in range(3) if axis != slice_axis), mm[slice_axis]]
    return _varying(fine, coarse, spacing) or Noise(sigma)


def _varying(fine: Image, coarse: Image, spacing: Sequence[float]) -> Noise | None:
    """Return noise that varies from place to place; None where it does not, as far as is known.

    Args:
        fine: Noise by each block, by its finest detail.
        coarse: The same by coarser detail, which shows more where there is texture.
        spacing: Of the voxels, slices last, in mm.
    """
    windows = by_window(fine, spacing)
    textured = by_window(coarse, spacing) > LEAST_TEXTURED * windows
    found = settled(fine, np.where(textured, np.nan, windows))
    if found is None:
        return None
    low, high = np.percentile(found, VARIATION_PERCENTILES)
    if high < LEAST_VARIATION * low:
        return None
    there = np.isfinite(windows)
    sigma = float(np.sqrt(np.mean(np.square(found[there]))))
    return Noise(sigma, variation=float(high / low), windows=found)


def _shown(blocks: Blocks, y: Image, *, is_signed: bool) -> Image:
    """Return sigma by each block, as far as low ones tell it; NaN outside of tissue."""
    with np.errstate(invalid="ignore"):
        shown = np.where(blocks.inside >= LEAST_INSIDE, blocks.rms / blocks.low, np.nan)
    if is_signed:
        return shown
    signal = blocks.level - air_level(y)
    snr = np.divide(signal, shown, out=np.full_like(shown, np.inf), where=shown > 0.0)
    return np.asarray(shown / shrinkage(snr), dtype=np.float32)


def has_both_signs(y: Image) -> bool:
    """Whether intensities lie on both sides of zero as noise does: most are near zero.

    Magnitudes that were shifted below zero are many somewhere else: where their air is.
    """
    if float(np.mean(y < 0.0)) < LEAST_NEGATIVE_SHARE or float(y.max()) <= 0.0:
        return False
    low, high = np.percentile(y, (0.1, 99.9))
    if not low < 0.0 < high:
        return False
    counts, edges = np.histogram(y, N_BINS, (low, high))
    peak = int(np.argmax(counts))
    return bool(edges[max(0, peak - 1)] <= 0.0 <= edges[min(N_BINS, peak + 2)])


def _masked(y: Image) -> Mask:
    """Return the voxels of a background that was set to one value: the lowest, or zero."""
    for value in (float(y.min()), 0.0):
        there = y == np.float32(value)
        if float(there.mean()) >= LEAST_MASKED_SHARE:
            return np.asarray(there)
    return np.zeros(y.shape, dtype=np.bool_)


def _median_noise(y: Image, counts: Mask, *, is_signed: bool) -> float:
    """Return the noise by the median second difference; 0 where there is too little tissue."""
    residual = y
    for axis in (0, 1):
        residual = correlate1d(residual, difference(COARSE_ORDER), axis=axis, mode="nearest")
    air = air_level(y)
    sigma = 0.0
    for _ in range(N_PASSES):
        tissue = counts if is_signed else counts & _tissue(y, sigma)
        if int(tissue.sum()) < LEAST_TISSUE_VOXELS:
            break
        shown = SIGMA_PER_MAD * float(np.median(np.abs(residual[tissue])))
        if is_signed:
            return shown
        sigma = shown / _rician_shrinkage(float(np.median(y[tissue])) - air, shown)
    return sigma


def _bright(y: Image) -> float:
    return float(np.percentile(y, BRIGHT_PERCENTILE)) - float(y.min())


def _tissue(y: Image, sigma: float) -> Mask:
    return np.asarray(y - y.min() > max(TISSUE_SHARE * _bright(y), AIR_REACH * sigma))


def _rician_shrinkage(signal: float, sigma: float) -> float:
    """Share of the noise's standard deviation that magnitude data of this signal shows."""
    if sigma <= 0.0:
        return 1.0
    return float(shrinkage(np.array([signal / sigma], dtype=np.float32))[0])
