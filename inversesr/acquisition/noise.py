"""How noisy a magnitude scan is, from the scan alone.

    sigma = median |y * k| / (0.6745 |k|),    k = second difference along both in-plane axes

Image structure that is smooth over three voxels vanishes under k; what is left in the tissue is
noise, and its median is not moved by edges.
"""

import numpy as np
from scipy.ndimage import correlate1d

from inversesr.acquisition.foreground import air_level
from inversesr.volume import Image, Volume

# Standard deviation of a normal distribution over its median absolute value.
SIGMA_PER_MAD = 1.4826
# A voxel is tissue when brighter than this share of the scan's bright end: magnitude data is
# Rayleigh distributed in air, where the same noise looks 0.655 times as large.
TISSUE_SHARE = 0.15
BRIGHT_PERCENTILE = 99.0
LEAST_TISSUE_VOXELS = 1000
# Air this many standard deviations bright is rare: 1 % of it, by Rayleigh's distribution.
AIR_REACH = 3.0
# The first guess of sigma lets some air through, the next two do not.
N_PASSES = 3
# Above this ratio of signal to noise, Rician noise is Gaussian to 1 %.
GAUSSIAN_SNR = 5.0


def estimate_noise(volume: Volume, slice_axis: int) -> float:
    """Estimate the standard deviation of the noise behind a magnitude scan.

    Args:
        volume: The scan in its own voxels.
        slice_axis: Axis across the slices; noise is judged within each slice.

    Returns:
        Standard deviation in the scan's intensities; 0 where it has no tissue to judge by.

    Reference: Immerkaer (1996), Fast noise variance estimation, Computer Vision and Image
    Understanding 64(2):300-302, doi:10.1006/cviu.1996.0060; the median, and the correction for
    low signal after Koay, Basser (2006), Analytically exact correction scheme for signal
    extraction from noisy magnitude MR signals, Journal of Magnetic Resonance 179(2):317-322,
    doi:10.1016/j.jmr.2006.01.016.
    """
    y = volume.data
    air = air_level(y)
    residual = _second_differences(y, slice_axis)
    sigma = 0.0
    for _ in range(N_PASSES):
        tissue = _tissue(y, sigma)
        if int(tissue.sum()) < LEAST_TISSUE_VOXELS:
            break
        shown = SIGMA_PER_MAD * float(np.median(np.abs(residual[tissue])))
        signal = float(np.median(y[tissue])) - air
        sigma = shown / _rician_shrinkage(signal, shown)
    return sigma


def _second_differences(y: Image, slice_axis: int) -> Image:
    """Noise residual with the variance of the noise."""
    kernel = np.array([1.0, -2.0, 1.0], dtype=np.float32) / np.sqrt(6.0, dtype=np.float32)
    residual = y
    for axis in range(3):
        if axis != slice_axis:
            residual = correlate1d(residual, kernel, axis=axis, mode="nearest")
    return residual


def _tissue(y: Image, sigma: float) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    floor = float(y.min())
    bright = float(np.percentile(y, BRIGHT_PERCENTILE)) - floor
    return (y - floor) > max(TISSUE_SHARE * bright, AIR_REACH * sigma)


def _rician_shrinkage(signal: float, sigma: float) -> float:
    """Share of the noise's standard deviation that magnitude data of this signal shows."""
    if sigma <= 0.0 or signal > GAUSSIAN_SNR * sigma:
        return 1.0
    snr = np.linspace(0.0, GAUSSIAN_SNR, 501)
    shown = np.sqrt(_rician_variance(snr))
    mean = np.sqrt(np.maximum(snr**2 + 2.0 - shown**2, 1e-9))
    return float(np.interp(signal / sigma, mean / shown, shown))


def _rician_variance(
    snr: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Variance of Rician data of unit noise (Koay and Basser 2006, equation 17)."""
    from scipy.special import i0e, i1e

    h = snr**2 / 4.0
    bessel = (2.0 + snr**2) * i0e(h) + snr**2 * i1e(h)
    return np.asarray(2.0 + snr**2 - np.pi / 8.0 * bessel**2)
