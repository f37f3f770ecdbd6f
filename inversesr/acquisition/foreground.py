"""Which voxels of an image show the subject, and not air."""

import numpy as np
from numpy.typing import NDArray

from inversesr.volume import Image

Mask = NDArray[np.bool_]

BRIGHT_PERCENTILE = 99.9
DARK_PERCENTILE = 1.0
# Air this near to zero, as a share of the range, is at zero: scanners write it so.
NEAR_ZERO = 0.02


def air_level(y: Image) -> float:
    """Return the intensity that counts as none: 0 for magnitudes as scanners write them.

    Programs shift intensities: networks and shares of the brightest tissue are meant for what
    lies above air.

    Args:
        y: Intensities of a scan.
    """
    dark, bright = np.percentile(y, (DARK_PERCENTILE, BRIGHT_PERCENTILE)).tolist()
    return 0.0 if abs(dark) <= NEAR_ZERO * (bright - dark) else float(dark)


def foreground(truth: Image) -> Mask:
    """Return the head, or the brain where everything else has been set to zero.

    Where at least a tenth of the image is exactly its minimum, all the rest is foreground;
    otherwise Otsu's threshold decides.
    """
    from skimage.filters import threshold_otsu

    is_floor = truth == truth.min()
    if 0.1 <= is_floor.mean() < 1.0:
        return np.asarray(~is_floor)
    return np.asarray(truth > 0.5 * threshold_otsu(truth.ravel()))
