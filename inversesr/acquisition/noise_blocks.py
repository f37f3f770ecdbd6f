"""Noise in small blocks of a scan: what its finest detail holds where there is least of it.

    l(v) = rms over a block about v of (y * k k'),      sigma = q-quantile of l / c(q)

k is a difference of fourth order along each axis within the slice: what is smooth over five
voxels vanishes under it, and so does most of what a fold of the cortex shows. What is left of
texture raises l in some blocks, never lowers it: a low quantile over many blocks keeps to those
without. Of noise alone l^2 is nearly a chi-squared variable; that gives c(q), the share by which
the low quantile lies below sigma.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, uniform_filter, uniform_filter1d
from scipy.special import gammaincinv

from inversesr.volume import Image

# Blocks are so many voxels long within the slice and across slices.
BLOCK, BLOCK_SLICES = 7, 3
QUANTILE = 0.1
# Orders of difference: that of the estimate, and one that heeds coarser detail too.
ORDER, COARSE_ORDER = 4, 2
# Every so manieth block along each axis within the slice is looked at: others share its voxels.
STRIDE = 2
# A block counts where so much of it, and of what the differences reach beyond it, is tissue.
LEAST_INSIDE = 0.97


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of a scan, slices along the last axis, every `STRIDE`-th one within the slice.

    Attributes:
        rms: Root mean square of the differences, with the variance of the noise.
        level: Mean intensity.
        inside: Share that is tissue.
        low: Share of sigma that the low quantile of noise alone is.
    """

    rms: Image
    level: Image
    inside: Image
    low: float


def blocks_of(y: Image, tissue: NDArray[np.bool_], order: int = ORDER) -> Blocks:
    """Return the blocks of a scan.

    Args:
        y: Scan, slices along the last axis.
        tissue: What is to be judged, likewise.
        order: Order of the differences, even.
    """
    kernel = difference(order)
    n_slices = min(BLOCK_SLICES, y.shape[-1])
    residual = y
    for axis in (0, 1):
        residual = correlate1d(residual, kernel, axis=axis, mode="mirror")
    size = (BLOCK, BLOCK, n_slices)
    # the sum of a running window may round to just below zero
    rms = np.sqrt(np.maximum(uniform_filter(np.square(residual), size, mode="mirror"), 0.0))
    level = uniform_filter(y, size, mode="mirror")
    reach = BLOCK + 2 * (len(kernel) // 2)
    inside = tissue.astype(np.float32)
    for axis, length in enumerate((reach, reach, n_slices)):
        inside = uniform_filter1d(inside, length, axis=axis, mode="nearest")
    thinned = (slice(None, None, STRIDE), slice(None, None, STRIDE))
    return Blocks(rms[thinned], level[thinned], inside[thinned], low_share(order, n_slices))


def difference(order: int) -> NDArray[np.float32]:
    """Return the difference of an order, scaled to keep the variance of white noise."""
    kernel = np.ones(1)
    for _ in range(order):
        kernel = np.convolve(kernel, [1.0, -1.0])
    return np.asarray(kernel / np.sqrt(np.sum(kernel**2)), dtype=np.float32)


def low_share(order: int, n_slices: int) -> float:
    """Return the low quantile of the rms of a block of white noise, as a share of sigma.

    Neighbours share voxels, so that a block has fewer degrees of freedom than voxels: as many as
    give its mean square the right variance.

    Source: Satterthwaite (1946), An approximate distribution of estimates of variance
    components, Biometrics Bulletin 2(6):110-114, doi:10.2307/3002019.
    """
    kernel = difference(order).astype(np.float64)
    shared = np.square(np.correlate(kernel, kernel, "full"))
    middle = len(kernel) - 1
    lags = np.arange(-min(middle, BLOCK - 1), min(middle, BLOCK - 1) + 1)
    one_axis = float(np.sum((BLOCK - np.abs(lags)) * shared[lags + middle])) / BLOCK**2
    freedom = n_slices / one_axis**2
    quantile_of_chi_squared = 2.0 * gammaincinv(freedom / 2.0, QUANTILE)
    return float(np.sqrt(quantile_of_chi_squared / freedom))
