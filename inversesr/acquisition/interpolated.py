"""Slices that were interpolated before: stored closer together than they were measured.

Scanners (zero-filling, "interpolated slices") and archives (1 mm, MNI space) store thick slices
on a finer grid, and nothing in the header tells. Two traces stay:

    all stored slices follow from fewer ones by a matrix, y = I y0      (`acquisition.knots`)
    power along one axis ends at a frequency where it goes on along the others
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from inversesr.acquisition.foreground import air_level
from inversesr.acquisition.knots import find_knots
from inversesr.acquisition.line_spectrum import Mask, Spectrum, line_spectrum
from inversesr.operators.slice_interpolation import interpolation_matrix
from inversesr.operators.slice_profile import Array
from inversesr.volume import Image, Volume

TISSUE_SHARE, BRIGHT_PERCENTILE = 0.15, 99.0
# Power this far below that along the other axes is none, over so many of the frequencies. Of 60
# scans of ds002748, which hold slices of 2 mm at 1 mm, it is 14 to 16 dB over a third of them; of
# 40 others across their slices at most 8 dB.
LOST_DB, LEAST_LOST_SHARE, END_DB = -10.0, 0.2, -4.0
# Slices are told to be thick where they are this much thicker than the widest voxel is wide.
LEAST_RATIO = 1.3
WORDS = {
    "nearest": "repeated",
    "linear": "interpolated linearly",
    "cubic": "interpolated by cubic splines",
    "fourier": "interpolated (zero-filled)",
}


@dataclass(frozen=True)
class Interpolated:
    """An axis along which an image holds fewer slices than are stored.

    Attributes:
        axis: The axis.
        slice_mm: Distance between the slices that were measured.
        first_mm: From the first stored slice to the first measured one.
        n_slices: How many were measured.
        kind: How they were interpolated: "nearest", "linear", "cubic" or "fourier".
        is_exact: Whether the stored slices follow from so many to rounding; else the distance is
            that at which the power ends, and about right.
    """

    axis: int
    slice_mm: float
    first_mm: float
    n_slices: int
    kind: str = "fourier"
    is_exact: bool = False

    @property
    def cutoff_per_mm(self) -> float:
        """Frequency at which the content ends, in cycles/mm."""
        return 0.5 / self.slice_mm

    def matrix(self, n_stored: int, spacing_mm: float) -> Array:
        """Return the weights of measured slices in stored ones, shape (n_stored, n_slices)."""
        positions = np.arange(n_stored, dtype=np.float64) * spacing_mm
        return interpolation_matrix(self.kind, self.counted(positions), self.n_slices)

    def counted(self, positions_mm: Array) -> Array:
        """Return positions, in mm from the first stored slice, in measured slices."""
        return np.asarray((positions_mm - self.first_mm) / self.slice_mm, dtype=np.float64)

    def words(self, axcodes: str, spacing_mm: float) -> str:
        """Say what was found, in a clause.

        Args:
            axcodes: Directions of the axes, such as "RAS".
            spacing_mm: Distance between stored slices.
        """
        how = WORDS[self.kind] if self.is_exact else "interpolated"
        about = "" if self.is_exact else "about "
        return (
            f"content along {axcodes[self.axis]} ends at {self.cutoff_per_mm:.2g} cycles/mm, "
            f"voxels of {spacing_mm:.3g} mm could hold {0.5 / spacing_mm:.2g}: slices "
            f"{about}{self.slice_mm:.3g} mm apart were {how} to {spacing_mm:.3g} mm"
        )


_known: WeakKeyDictionary[Volume, Interpolated | None] = WeakKeyDictionary()


def find_interpolated(volume: Volume) -> Interpolated | None:
    """Return the axis along which slices were interpolated, if that can be told.

    Args:
        volume: A scan.
    """
    if volume not in _known:
        _known[volume] = _find(volume)
    return _known[volume]


def _find(volume: Volume) -> Interpolated | None:
    y, spacing = volume.data, volume.grid.plane_distance_mm
    floor = air_level(y)
    bright = float(np.percentile(y, BRIGHT_PERCENTILE)) - floor
    is_tissue = np.asarray(y - floor > TISSUE_SHARE * bright)
    least = LEAST_RATIO * max(spacing)
    exact = [_by_knots(y, is_tissue, axis, spacing[axis], least) for axis in range(3)]
    found = [f for f in exact if f is not None]
    if not found:
        found = [f for f in _by_spectrum(y, is_tissue, spacing) if f.slice_mm >= least]
    return max(found, key=lambda f: f.slice_mm, default=None)


def _by_knots(
    y: Image, is_tissue: Mask, axis: int, spacing: float, least: float
) -> Interpolated | None:
    lines, mask = np.moveaxis(y, axis, 0), np.moveaxis(is_tissue, axis, 0)
    knots = find_knots(lines, mask, least / spacing)
    if knots is None:
        return None
    distance, first = knots.distance * spacing, knots.first * spacing
    return Interpolated(axis, distance, first, knots.n, knots.kind, is_exact=True)


def _by_spectrum(
    y: Image, is_tissue: Mask, spacing: tuple[float, float, float]
) -> list[Interpolated]:
    """Find axes along which power ends where it goes on along both others."""
    spectra = {axis: line_spectrum(y, is_tissue, axis, spacing[axis]) for axis in range(3)}
    found = []
    for axis, spectrum in spectra.items():
        others = [o for n, o in spectra.items() if n != axis and o is not None]
        if spectrum is None or len(others) < 2:
            continue
        frequency, level = spectrum
        beside = [np.interp(frequency, *other, right=np.nan) for other in others]
        cutoff = _cutoff(frequency, level - np.minimum(*beside))
        if cutoff is not None:
            found.append(_of_cutoff(axis, y.shape[axis], spacing[axis], cutoff))
    return found


def _of_cutoff(axis: int, n_stored: int, spacing: float, cutoff: float) -> Interpolated:
    """Return slices that hold just what is below a frequency, and fill the field of view."""
    n_slices = max(2, round(n_stored * spacing * 2.0 * cutoff))
    distance = n_stored * spacing / n_slices
    return Interpolated(axis, distance, (distance - spacing) / 2.0, n_slices)


def _cutoff(frequency: Spectrum, excess_db: Spectrum) -> float | None:
    """Return the frequency at which power ends; None where it does not."""
    known = np.isfinite(excess_db)
    frequency, excess_db = frequency[known], excess_db[known]
    lost = np.flatnonzero(excess_db <= LOST_DB)
    if lost.size < max(3.0, LEAST_LOST_SHARE * frequency.size):
        return None
    if excess_db[lost[0] :].mean() > 0.7 * LOST_DB:
        return None
    kept = np.flatnonzero(excess_db[: lost[0]] > END_DB)
    if kept.size == 0:
        return None
    n = int(kept[-1])
    share = (excess_db[n] - END_DB) / (excess_db[n] - excess_db[n + 1])
    return float(frequency[n] + share * (frequency[n + 1] - frequency[n]))
