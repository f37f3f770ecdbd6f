"""Finds single slices that are spoilt: dark, bright, displaced, or another slice once more.

A slice is compared with its neighbours. What changes along the stack anyway, from slice to slice,
is measured by all slices, so that a threshold is a multiple of what is usual in this scan.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import shift as shift_image

from inversesr.acquisition.lost_slices import equal_slices
from inversesr.volume import Image

Array = NDArray[np.float64]
DARK, BRIGHT, DISPLACED, DOUBLED = "dark", "bright", "displaced", "doubled"
# Tissue is what is brighter than this share of the bright end of the scan.
TISSUE_SHARE, BRIGHT_PERCENTILE = 0.1, 99.0
# Slices with less tissue than this share of that in most are not judged: head's top and below it.
LEAST_TISSUE = 0.3
# A slice is dark or bright from this logarithm of the ratio to its neighbours' median on, and
# displaced from this shift on; both at least so many times what is usual in the scan.
LEAST_LOG_RATIO, LEAST_SHIFT_MM, TIMES_USUAL = 0.25, 3.0, 4.0
SIGMA_PER_MAD = 1.4826
# Moved back, it must differ from its neighbours by less than this share of the mean square.
LARGEST_GAIN = 0.6
WINDOW = 2
SUBPIXEL = 4


def find_spoilt(
    data: Image, slice_axis: int, spacing_mm: tuple[float, float, float]
) -> dict[int, str]:
    """Return the slices that are spoilt, and how.

    Args:
        data: Intensities of a scan.
        slice_axis: Axis across the slices.
        spacing_mm: Its voxel sizes.

    Returns:
        Number of the slice, counted from 0 -> "dark", "bright", "displaced" or "doubled".
    """
    slices = np.moveaxis(data, slice_axis, 0)
    within = np.array([s for axis, s in enumerate(spacing_mm) if axis != slice_axis])
    found: dict[int, str] = {}
    for n in _copies(slices):
        found[n] = DOUBLED
    for n, kind in _of_other_brightness(slices).items():
        found.setdefault(n, kind)
    for n in _displaced(slices, within, set(found)):
        found.setdefault(n, DISPLACED)
    return dict(sorted(found.items()))


def _tissue(slices: Image) -> NDArray[np.bool_]:
    return np.asarray(slices > TISSUE_SHARE * np.percentile(slices, BRIGHT_PERCENTILE))


def _judged(slices: Image) -> list[int]:
    """Return the slices between two others that show tissue."""
    n_tissue = _tissue(slices).sum(axis=(1, 2)).astype(np.float64)
    usual = float(np.median(n_tissue[n_tissue > 0])) if n_tissue.any() else 0.0
    shown = n_tissue > LEAST_TISSUE * usual
    return [n for n in range(1, len(slices) - 1) if shown[n - 1] and shown[n + 1]]


def _of_other_brightness(slices: Image) -> dict[int, str]:
    """Return slices much darker or brighter than those about them, in the same tissue."""
    tissue = _tissue(slices)
    ratios = {}
    for n in _judged(slices):
        near = [k for k in range(n - WINDOW, n + WINDOW + 1) if 0 <= k < len(slices)]
        both = tissue[n - 1] & tissue[n + 1]
        if not both.any():
            continue
        means = np.array([slices[k][both].mean(dtype=np.float64) for k in near])
        own = slices[n][both].mean(dtype=np.float64)
        ratios[n] = float(np.log(max(own, 1e-9) / max(float(np.median(means)), 1e-9)))
    least = max(LEAST_LOG_RATIO, TIMES_USUAL * _spread(list(ratios.values())))
    return {n: DARK if r < 0.0 else BRIGHT for n, r in ratios.items() if abs(r) > least}


def _displaced(slices: Image, within_mm: Array, spoilt: set[int]) -> list[int]:
    """Return slices that lie elsewhere than both neighbours, which agree with each other."""
    judged = [n for n in _judged(slices) if not spoilt & {n - 1, n, n + 1}]
    shifts = {n: _shift((slices[n - 1] + slices[n + 1]) / 2.0, slices[n]) for n in judged}
    far = {n: float(np.linalg.norm(shift * within_mm)) for n, shift in shifts.items()}
    least = max(LEAST_SHIFT_MM, TIMES_USUAL * _spread(list(far.values())))
    found = []
    for n in [n for n in judged if far[n] > least]:
        between = (slices[n - 1] + slices[n + 1]) / 2.0
        back = shift_image(slices[n], shifts[n], order=1, mode="nearest")
        gained = np.square(back - between).mean() / np.square(slices[n] - between).mean()
        beside = np.linalg.norm(_shift(slices[n - 1], slices[n + 1]) * within_mm)
        if gained < LARGEST_GAIN and beside < far[n] / 2.0:
            found.append(n)
    return found


def _shift(still: Image, moved: Image) -> Array:
    """Return by how many voxels an image must be moved to lie on another."""
    from skimage.registration import phase_cross_correlation

    found = phase_cross_correlation(still, moved, upsample_factor=SUBPIXEL, normalization=None)
    return np.asarray(found[0], dtype=np.float64)


def _copies(slices: Image) -> list[int]:
    """Return of each pair of equal slices the one that fits its place less well."""

    def misfit(n: int, image: Image, other: int) -> float:
        near = [k for k in (n - 1, n + 1) if 0 <= k < len(slices) and k != other]
        gaps = [float(np.square(image - slices[k]).mean(dtype=np.float64)) for k in near]
        return min(gaps, default=np.inf)

    pairs = equal_slices(slices)
    if len(pairs) >= len(slices) // 3:  # all of them: a phantom, or slices stored several times
        return []
    return [a if misfit(a, slices[a], b) > misfit(b, slices[b], a) else b for a, b in pairs]


def _spread(values: list[float]) -> float:
    """Return the standard deviation of values by their median absolute deviation."""
    if not values:
        return 0.0
    return SIGMA_PER_MAD * float(np.median(np.abs(np.array(values) - np.median(values))))
