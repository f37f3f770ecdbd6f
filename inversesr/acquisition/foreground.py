"""Which voxels of an image show the subject, and not air."""

import numpy as np
from numpy.typing import NDArray

from inversesr.volume import Image

Mask = NDArray[np.bool_]

BRIGHT_PERCENTILE = 99.9


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
