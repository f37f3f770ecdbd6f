"""Blur by a Gaussian along some axes, such as that of an image within its slices.

    A[i, j] = integral of a Gaussian about voxel i over voxel j, each row scaled to sum to one

A matrix an axis, so that slices of a blurred image, `slices @ blur`, are separable too.
"""

from collections.abc import Sequence

import numpy as np

from inversesr.operators.separable import Array, SeparableOperator
from inversesr.operators.slice_profile import slice_matrix
from inversesr.protocols import Shape
from inversesr.volume import voxel_centres


def gaussian_blur(
    shape: Shape, spacing_mm: Sequence[float], fwhm_mm: Sequence[float]
) -> SeparableOperator:
    """Return the blur of an image.

    Args:
        shape: Voxels along the three axes.
        spacing_mm: Their length along each.
        fwhm_mm: Full width at half maximum of the Gaussian along each; 0 for no blur.
    """
    lines = zip(shape, spacing_mm, fwhm_mm, strict=True)
    a, b, c = (_matrix(n, spacing, fwhm) for n, spacing, fwhm in lines)
    return SeparableOperator(shape, (a, b, c))


def _matrix(n: int, spacing_mm: float, fwhm_mm: float) -> Array | None:
    if fwhm_mm == 0.0:
        return None
    edges = (np.arange(n + 1, dtype=np.float64) - n / 2.0) * spacing_mm
    return slice_matrix(edges, voxel_centres(n, spacing_mm), fwhm_mm, "gaussian")
