"""Whether two images show the same head: by the details inside it, not by its outline.

    d(v) = G(s) * v - G(8/3 s) * v,     likeness = correlation of d(a) and d(b) inside the head

All heads are alike in the large, and air is alike in all of them; folds and vessels are not.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from inversesr.acquisition.foreground import air_level
from inversesr.volume import Image

# Finest detail that is compared, as a standard deviation: of voxels of a head, and as a share of
# the thickness of its slices, across which there is no finer one. Coarser detail is left out.
FINEST_MM, FINEST_SHARE, COARSEST_RATIO = 1.5, 0.25, 8.0 / 3.0
# Of one head this is 0.7 to 1 (0.71 for a T1 and a T1 with contrast agent, 0.85 at 8 % noise), of
# different ones 0.05 to 0.4, of its T1 and T2 about 0, of a fetus that turned between scans 0.4.
LEAST_LIKENESS = 0.55
# Brighter than this share of the bright end is tissue; the rim of the head is as wide as this.
TISSUE_SHARE, RIM_MM, LEAST_AROUND = 0.15, 4.0, 0.9
BRIGHT_PERCENTILE = 99.0
LEAST_VOXELS = 500


def detail_likeness(
    a: Image, b: Image, is_seen: NDArray[np.bool_], spacing_mm: tuple[float, ...], slice_mm: float
) -> float | None:
    """Return the correlation of the details of two images on one grid.

    Args:
        a: An image.
        b: Another one, on any scale of intensities.
        is_seen: Where both were measured.
        spacing_mm: Distance between voxels.
        slice_mm: Thickness of the thicker slices of both.

    Returns:
        Correlation, -1 to 1; None where there is too little tissue, or no detail, to tell.
    """
    finest = max(FINEST_MM, FINEST_SHARE * slice_mm)
    seen = is_seen.astype(np.float32)
    if int(seen.sum()) < LEAST_VOXELS:
        return None
    is_tissue = _tissue(a, is_seen) & _tissue(b, is_seen)
    around = gaussian_filter(is_tissue.astype(np.float32), [RIM_MM / s for s in spacing_mm])
    is_inside = is_tissue & (around > LEAST_AROUND)
    where = is_inside if int(is_inside.sum()) >= LEAST_VOXELS else is_tissue
    if int(where.sum()) < LEAST_VOXELS:
        return None
    of_a, of_b = (_detail(image, seen, spacing_mm, finest)[where] for image in (a, b))
    if min(float(of_a.std()), float(of_b.std())) == 0.0:
        return None
    return float(np.corrcoef(of_a, of_b)[0, 1])


def _tissue(image: Image, is_seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    seen = image[is_seen]
    air = air_level(seen)
    bright = float(np.percentile(seen, BRIGHT_PERCENTILE)) - air
    return np.asarray(is_seen & (image - air > TISSUE_SHARE * bright))


def _detail(
    image: Image, seen: Image, spacing_mm: tuple[float, ...], finest_mm: float
) -> NDArray[np.float64]:
    """Return what is between two scales, by averages of what was measured."""

    def smooth(sigma_mm: float) -> NDArray[np.float64]:
        sigma = [sigma_mm / s for s in spacing_mm]
        weight = np.maximum(gaussian_filter(seen, sigma), 1e-3)
        return np.asarray(gaussian_filter(image * seen, sigma) / weight, dtype=np.float64)

    return smooth(finest_mm) - smooth(COARSEST_RATIO * finest_mm)
