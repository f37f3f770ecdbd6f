"""Intensities as DICOM stores them: whole numbers of 16 bits with a slope and an intercept.

value = slope * stored + intercept        0 is stored exactly
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inversesr.volume import Image

HIGHEST = (1 << 16) - 1
# A decimal text of DICOM has at most 16 letters.
DIGITS = 10
# Tissue is brighter than the mean of head and air; the brightest vessels are left out.
WINDOW_QUANTILE = 0.995


@dataclass(frozen=True, eq=False)
class Stored:
    """An image as whole numbers.

    Attributes:
        data: Of the image's shape.
        slope: Step of the intensities.
        intercept: Intensity of 0.
        window: Middle and width of the intensities that show tissue.
    """

    data: NDArray[np.uint16]
    slope: float
    intercept: float
    window: tuple[float, float]


def store(image: Image) -> Stored:
    """Return an image as whole numbers that use the whole range of their type.

    Args:
        image: Finite intensities.
    """
    low, high = min(float(image.min()), 0.0), max(float(image.max()), 0.0)
    if low == high:
        return Stored(np.zeros(image.shape, np.uint16), 1.0, 0.0, (0.5, 1.0))
    # one step is spared, so that 0 can be a whole number of them
    slope = _rounded_up((high - low) / (HIGHEST - 1))
    offset = int(np.ceil(-low / slope))
    data = np.round(image.astype(np.float64) / slope) + offset
    stored = np.clip(data, 0, HIGHEST).astype(np.uint16)
    return Stored(stored, slope, _rounded(-offset * slope), _window(image))


def decimal(value: float) -> str:
    """Return a number as a decimal text of DICOM."""
    return f"{value:.{DIGITS}g}"


def _rounded(value: float) -> float:
    return float(decimal(value)) + 0.0


def _rounded_up(value: float) -> float:
    """Return the next number that a decimal text holds; below it the range would not fit."""
    return _rounded(value * (1.0 + 10.0 ** (1 - DIGITS)))


def _window(image: Image) -> tuple[float, float]:
    bright = image[image > image.mean()]
    high = float(np.quantile(bright, WINDOW_QUANTILE)) if bright.size else float(image.max())
    low = max(float(np.quantile(image, 0.01)), 0.0)
    width = max(high - low, 1e-6)
    return low + width / 2.0, width
