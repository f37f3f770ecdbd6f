"""Finds the few slices from which all stored ones follow, if there are such.

    r = |y - I I+ y|        what no choice of measured slices explains, I = `slice_interpolation`

Where slices were interpolated, r is their rounding error for the right kind, distance and place,
whatever the noise; elsewhere it is not much less than the slices differ.

Reference: Gallagher (2005), Detection of linear and cubic interpolation in JPEG compressed images,
Canadian Conference on Computer and Robot Vision, doi:10.1109/CRV.2005.33, which looks for the
period of second differences; here the interpolation itself is fitted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from inversesr.operators.slice_interpolation import interpolation_matrix
from inversesr.operators.slice_profile import Array
from inversesr.volume import Image

# Stored slices that are looked at, about the middle one, and beyond them measured ones that count.
WINDOW, MARGIN = 96, 6
LEAST_STORED, LEAST_MEASURED = 12, 4
MOST_LINES, LEAST_LINES = 4000, 200
# Distances between measured slices, in stored ones.
LARGEST_RATIO = 12.0
# What is left is rounding error below this share of the difference between neighbours, or, for
# coarse integers, below so many steps of them and a larger share. Scans that were not interpolated
# leave 0.3 to 0.6, interpolated ones of another kind than was tried at least 0.06.
ROUNDING_SHARE, ROUNDING_STEPS, LARGEST_SHARE = 0.03, 0.35, 0.1
# Half a distance further on, the right kind fits this much worse; smooth images fit anywhere.
LEAST_CONTRAST = 3.0
# Zero-filled slices have this much less power above the cut-off than below it.
LEAST_DROP = 30.0


@dataclass(frozen=True)
class Knots:
    """Measured slices, in units of the distance between stored ones.

    Attributes:
        kind: How they were interpolated.
        distance: Between measured slices.
        first: Position of the first one; the first stored slice is at 0.
        n: How many there are.
    """

    kind: str
    distance: float
    first: float
    n: int


@dataclass(frozen=True, eq=False)
class _Lines:
    """Lines of an image across its slices.

    Attributes:
        start: First stored slice of the window.
        gram: Mean product of every two slices of the window.
        power: Mean power of whole lines at 0, 1, ... cycles a line.
        largest: Largest mean square that is rounding error.
    """

    n: int
    start: int
    gram: Array
    power: Array
    largest: float

    def misfit(self, knots: Knots) -> float:
        """Mean square, a stored slice and degree of freedom, that knots do not explain."""
        rows = np.arange(self.start, self.start + len(self.gram))
        u = np.asarray((rows - knots.first) / knots.distance, dtype=np.float64)
        low = max(int(np.floor(u[0])) - MARGIN, 0)
        high = min(int(np.ceil(u[-1])) + MARGIN + 1, knots.n)
        weights = interpolation_matrix(knots.kind, u - low, high - low)
        is_used = np.abs(weights).max(axis=0) > 1e-3
        basis, _ = np.linalg.qr(weights[:, is_used])
        explained = float(np.einsum("ij,ij->", self.gram @ basis, basis))
        n_free = len(rows) - basis.shape[1]
        left = float(np.trace(self.gram)) - explained
        return max(left, 0.0) / n_free if n_free > 0 else np.inf


def find_knots(y: Image, is_tissue: NDArray[np.bool_], least_distance: float) -> Knots | None:
    """Return the slices that were measured, where all stored ones follow from fewer of them.

    Args:
        y: Image, slices along the first axis.
        is_tissue: Where it shows something, the shape of y.
        least_distance: Between measured slices, in stored ones; above 1.
    """
    lines = _lines(y, is_tissue)
    if lines is None:
        return None
    found = [
        knots
        for knots in (_zero_filled(lines, least_distance), _local(lines, least_distance))
        if knots is not None
    ]
    return max(found, key=lambda knots: knots.distance, default=None)


def _local(lines: _Lines, least: float) -> Knots | None:
    """Return the knots farthest apart that explain all, of kinds that reach over a few slices."""
    for knots in sorted(_candidates(lines.n, least), key=lambda k: -k.distance):
        misfit = lines.misfit(knots)
        if misfit > lines.largest:
            continue
        beside = Knots(knots.kind, knots.distance, knots.first - knots.distance / 2.0, knots.n + 1)
        if lines.misfit(beside) > LEAST_CONTRAST**2 * max(misfit, 0.05 * lines.largest):
            return knots
    return None


def _candidates(n: int, least: float) -> Iterator[Knots]:
    """Give knots as programs place them."""
    for kind in ("nearest", "linear", "cubic"):
        add = partial(Knots, kind)
        for k in range(LEAST_MEASURED, n):
            # the same field of view, or the same outermost centres
            if least <= n / k <= LARGEST_RATIO:
                yield add(n / k, (n / k - 1.0) / 2.0, k)
            if kind != "nearest" and least <= (n - 1) / (k - 1) <= LARGEST_RATIO:
                yield add((n - 1) / (k - 1), 0.0, k)
        # any cut of what was interpolated by a whole or a half number
        for halves in range(3, int(2 * LARGEST_RATIO) + 1):
            distance = halves / 2.0
            steps = np.arange(0.0, distance, 0.5) if distance >= least else np.array([])
            for step in steps:
                first = float(step - distance if step > 0.0 else step)
                k = int(np.ceil((n - 1 - first) / distance - 1e-9)) + 1
                if k >= LEAST_MEASURED:
                    yield add(distance, first, k)


def _zero_filled(lines: _Lines, least: float) -> Knots | None:
    """Return the knots of slices whose power ends sharply at one frequency."""
    above = np.cumsum(lines.power[::-1])[::-1]
    lowest = int(np.ceil(lines.n / LARGEST_RATIO / 2.0))
    for cut in range(max(lowest, 2), int(lines.n / least / 2.0) + 1):
        share = (len(lines.power) - cut - 1) / len(lines.power)
        if above[cut + 1] > lines.largest * share:
            continue
        below, beyond = (
            lines.power[cut - 1 : cut + 1].mean(),
            lines.power[cut + 1 : cut + 3].mean(),
        )
        n = 2 * cut + 1
        is_sharp = below > LEAST_DROP * beyond
        return Knots("fourier", lines.n / n, (lines.n / n - 1.0) / 2.0, n) if is_sharp else None
    return None


def _lines(y: Image, is_tissue: NDArray[np.bool_]) -> _Lines | None:
    n = len(y)
    if n < LEAST_STORED:
        return None
    start = max(0, (n - WINDOW) // 2)
    stop = min(n, start + WINDOW)
    shown = np.flatnonzero(is_tissue[start:stop].any(axis=0))
    if shown.size < LEAST_LINES:
        return None
    rng = np.random.default_rng(0)
    chosen = shown if shown.size <= MOST_LINES else rng.choice(shown, MOST_LINES, replace=False)
    whole = y.reshape(n, -1)[:, chosen].astype(np.float64)
    middle = whole[start:stop]
    difference = float(np.mean(np.diff(middle, axis=0) ** 2))
    if difference == 0.0:
        return None
    rounding = min(ROUNDING_STEPS * _step(middle), LARGEST_SHARE * difference**0.5)
    largest = max(ROUNDING_SHARE * difference**0.5, rounding) ** 2
    power = np.mean(np.abs(np.fft.rfft(whole, axis=0)) ** 2, axis=1) / n**2
    power[1:] *= 2.0
    return _Lines(n, start, middle @ middle.T / middle.shape[1], power, largest)


def _step(y: Array) -> float:
    """Return the smallest difference between two values that occur."""
    differences = np.diff(np.unique(y))
    return float(differences.min()) if differences.size else 0.0
