"""Slice profiles, and the matrix by which thin slices average into thick ones.

    A[i, j] = integral of profile((position - centre_i) / thickness) over fine voxel j,
              each row scaled to sum to one.

A profile is stored as its cumulative distribution F over u = position / thickness, so that an
entry of the matrix is the exact difference F(right edge) - F(left edge).
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid
from scipy.special import ndtr

Array = NDArray[np.float64]

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))

# A typical 2D multi-slice excitation: time-bandwidth product 4, ripples of 1 %.
SLR_TIME_BANDWIDTH = 4.0
SLR_RIPPLE = 0.01
SLR_TAPS = 128
# Beyond 1.5 thicknesses the pulse leaves only its 1 % stop-band ripple.
SLR_HALF_SUPPORT = 1.5


def rect_cdf(u: Array) -> Array:
    """Cumulative uniform profile of full width one thickness."""
    return np.clip(u + 0.5, 0.0, 1.0)


def gaussian_cdf(u: Array) -> Array:
    """Cumulative Gaussian profile whose full width at half maximum is one thickness."""
    return np.asarray(ndtr(u * FWHM_PER_SIGMA), dtype=np.float64)


def slr_cdf(u: Array) -> Array:
    """Cumulative magnitude profile of a Shinnar-Le Roux 90 degree excitation pulse.

    Reference: Pauly, Le Roux, Nishimura, Macovski (1991), Parameter relations for the
    Shinnar-Le Roux selective excitation pulse design algorithm, IEEE Transactions on Medical
    Imaging 10(1):53-65, doi:10.1109/42.75611.
    """
    positions, cumulative = _slr_table()
    return np.interp(u, positions, cumulative)


@cache
def _slr_table() -> tuple[Array, Array]:
    """Tabulate the cumulative profile: u in thicknesses, rising from 0 to 1."""
    # Ripples of |B| that give the wanted ripples of Mxy for a 90 degree excitation, and the
    # transition width they allow (Pauly 1991, table II and equation 20).
    d1, d2 = np.sqrt(SLR_RIPPLE / 2.0), SLR_RIPPLE / np.sqrt(2.0)
    log1, log2 = np.log10(d1), np.log10(d2)
    d_infinity = (5.309e-3 * log1**2 + 7.114e-2 * log1 - 4.761e-1) * log2 + (
        -2.66e-3 * log1**2 - 5.941e-1 * log1 - 4.278e-1
    )
    from scipy.signal import remez  # half a second of every start, for this profile alone

    half_band = SLR_TIME_BANDWIDTH / SLR_TAPS / 2.0
    half_transition = d_infinity / SLR_TAPS / 2.0
    bands = [0.0, half_band - half_transition, half_band + half_transition, 0.5]
    taps = remez(SLR_TAPS, bands, [1.0, 0.0], weight=[1.0, d1 / d2])
    frequency = np.linspace(-4.0 * half_band, 4.0 * half_band, 4001)
    delays = np.arange(SLR_TAPS) - (SLR_TAPS - 1) / 2.0
    response = np.cos(2.0 * np.pi * frequency[:, None] * delays[None, :]) @ taps
    b = np.clip(np.abs(response) * np.sqrt(0.5), 0.0, 1.0)
    transverse = 2.0 * b * np.sqrt(1.0 - b**2)
    above_half = frequency[transverse >= 0.5 * transverse.max()]
    u = frequency / (above_half[-1] - above_half[0])
    inside = np.abs(u) <= SLR_HALF_SUPPORT
    cumulative = cumulative_trapezoid(transverse[inside], u[inside], initial=0)
    return u[inside], cumulative / cumulative[-1]


PROFILES: dict[str, Callable[[Array], Array]] = {
    "rect": rect_cdf,
    "gaussian": gaussian_cdf,
    "slr": slr_cdf,
}


def slice_matrix(
    fine_edges_mm: Array, centres_mm: Array, thickness_mm: float, profile: str
) -> Array:
    """Weights with which each fine voxel enters each thick slice, along one axis.

    Rows are scaled to sum to one, so a slice that sticks out of the fine grid averages the part
    that is inside.

    Args:
        fine_edges_mm: Edges of the fine voxels, ascending, shape (n_fine + 1,).
        centres_mm: Centres of the measured slices on the same line, shape (n_slices,).
        thickness_mm: Full width (rect) or full width at half maximum of the profile, above 0.
        profile: A name in PROFILES.

    Returns:
        Matrix of shape (n_slices, n_fine), non-negative, rows summing to one.

    Raises:
        ValueError: a slice lies wholly outside the fine grid.
    """
    u = (fine_edges_mm[None, :] - centres_mm[:, None]) / thickness_mm
    weights = np.diff(PROFILES[profile](u), axis=1)
    total = weights.sum(axis=1, keepdims=True)
    if (total < 1e-6).any():
        message = "a slice lies outside the fine grid"
        raise ValueError(message)
    return np.asarray(weights / total, dtype=np.float64)
