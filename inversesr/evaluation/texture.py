"""How grainy an image is where there is nothing but one tissue: too smooth, or too noisy.

ratio = (mean of the variance in 3 x 3 x 3 voxels of x / that of the truth)^(1/2), in smooth tissue

A sample of a posterior has the deviation of the truth there; a mean has less, and a sample from
which noise was not taken away has more. PSNR tells the two apart badly, and spectra not at all.
"""

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter, uniform_filter

from inversesr.acquisition.foreground import Mask
from inversesr.evaluation.tissue import Labels
from inversesr.volume import Image

# Voxels along each side: of what must be one tissue, and of the windows of the variance.
NEIGHBOURHOOD, WINDOW = 5, 3
LEAST_VOXELS = 50
GREY = 2


def smooth_tissue(labels: Labels, truth: Image) -> Mask:
    """Mark voxels with nothing but grey, or nothing but white matter in 5 x 5 x 5 voxels.

    Where the truth is constant, as programs paint white matter, it has no texture to compare.

    Args:
        labels: Segmentation of the truth, see `tissue.segment`.
        truth: The truth, same shape.
    """
    lowest, highest = (f(labels, NEIGHBOURHOOD) for f in (minimum_filter, maximum_filter))
    is_constant = minimum_filter(truth, WINDOW) == maximum_filter(truth, WINDOW)
    return np.asarray((lowest == highest) & (labels >= GREY) & ~is_constant)


def deviation_ratio(x: Image, truth: Image, smooth: Mask) -> float | None:
    """Return the deviation of an image over that of the truth in smooth tissue.

    Args:
        x: Image.
        truth: What it should be, same shape.
        smooth: Voxels that count, see `smooth_tissue`.

    Returns:
        The ratio; None where there is too little smooth tissue.
    """
    if int(smooth.sum()) < LEAST_VOXELS:
        return None
    return float(np.sqrt(_mean_variance(x, smooth) / _mean_variance(truth, smooth)))


def _mean_variance(x: Image, smooth: Mask) -> float:
    wide = x.astype(np.float64)
    squares = uniform_filter(np.square(wide), WINDOW) - np.square(uniform_filter(wide, WINDOW))
    return float(np.mean(np.maximum(squares[smooth], 0.0)))
