"""How slices that were interpolated follow from those that were measured.

y = I y0,      I[j, k] = weight of measured slice k in the slice that is stored at position j
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline

from inversesr.operators.slice_profile import Array

# Positions that fall on the middle between two slices to rounding belong to the former.
SAME_POSITION = 1e-6


def _nearest(u: Array, n: int) -> Array:
    nearest = np.clip(np.ceil(u - 0.5 - SAME_POSITION), 0, n - 1).astype(int)
    return np.asarray(np.eye(n)[nearest])


def _linear(u: Array, n: int) -> Array:
    inside = np.clip(u, 0.0, n - 1.0)
    return np.asarray(np.clip(1.0 - np.abs(inside[:, None] - np.arange(n)[None]), 0.0, None))


@lru_cache(maxsize=64)
def _through_units(n: int) -> CubicSpline:
    """Return the splines through each unit vector; every number of slices is tried many times."""
    return CubicSpline(np.arange(n), np.eye(n), bc_type="natural")


def _cubic(u: Array, n: int) -> Array:
    return np.asarray(_through_units(n)(np.clip(u, 0.0, n - 1.0)))


def _fourier(u: Array, n: int) -> Array:
    frequency = np.arange(n // 2 + 1)
    weight = np.where((frequency == 0) | (2 * frequency == n), 1.0, 2.0) / n
    waves = np.exp(2j * np.pi / n * np.outer(u, frequency)) * weight
    return np.asarray((waves @ np.fft.rfft(np.eye(n), axis=0)).real)


# Name, and weights of n slices at positions u, which are counted in slices from the first one.
INTERPOLATIONS: dict[str, Callable[[Array, int], Array]] = {
    "nearest": _nearest,
    "linear": _linear,
    "cubic": _cubic,
    "fourier": _fourier,
}


def interpolation_matrix(kind: str, positions: Array, n_slices: int) -> Array:
    """Return I, the weights of measured slices in stored ones.

    Beyond the outermost measured slice its value is kept; "fourier" (zero-filling) goes on
    periodically.

    Args:
        kind: A name in INTERPOLATIONS.
        positions: Of the stored slices, in distances between measured ones, counted from the
            first measured one.
        n_slices: Number of measured slices, at least 2.

    Returns:
        Matrix of shape (len(positions), n_slices), rows summing to one.
    """
    return INTERPOLATIONS[kind](np.asarray(positions, dtype=np.float64), n_slices)
