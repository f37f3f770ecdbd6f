"""Slices that were lost on the way: empty ones, and ones that hold another slice once more.

A result reproduces every slice, and so it would these.
"""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from inversesr.volume import Image

# A slice with less signal than this share of that of both its neighbours has lost it; neighbours
# are slices with at least this share of the signal of most slices.
LEAST_SIGNAL_SHARE, LEAST_SHOWN_SHARE = 0.1, 0.3
# More are not named one by one.
MOST_NAMED = 5


def doubts_of_slices(y: Image, slice_axis: int, missing: Sequence[int] = ()) -> list[str]:
    """Return what is wrong with single slices, in sentences that go on from the scan's name.

    Args:
        y: Intensities of a scan, without slices that are known to be missing.
        slice_axis: Axis across the slices.
        missing: Those slices.
    """
    slices = np.moveaxis(y, slice_axis, 0)
    number = [n for n in range(len(slices) + len(missing)) if n not in set(missing)]
    found = []
    if empty := empty_slices(slices):
        found.append(
            f"has {_numbered([number[n] for n in empty])} inside the head with next to no signal, "
            "and the result reproduces that: convert the scan again, or name them with --missing"
        )
    pairs = equal_slices(slices)
    beside = [(a, b) for a, b in pairs if b == a + 1 or (a, b - 1) in pairs]
    sums = [first + second for first, second in pairs]
    if len(pairs) > 1 and max(sums) - min(sums) <= 1:
        # the image is its own mirror image, as phantoms are: no slice was lost but beside itself
        pairs = beside
    if beside and len(beside) >= len(slices) // 3:
        found.append(
            "holds its slices several times over, equal bit by bit: they were interpolated by "
            "repeating; give --thickness with their true thickness, or use the scan before that"
        )
    elif pairs:
        named = ", ".join(f"{number[a]} and {number[b]}" for a, b in pairs[:MOST_NAMED])
        more = f" and {len(pairs) - MOST_NAMED} more pairs" if len(pairs) > MOST_NAMED else ""
        found.append(
            f"has slices that are equal bit by bit ({named}{more}, counted from 0): one of them "
            "may stand where another was lost: compare with the original series"
        )
    return found


def empty_slices(slices: Image) -> list[int]:
    """Return the slices, between others that show something, with next to no signal.

    Args:
        slices: Intensities, slices along the first axis.
    """
    # whatever the offset of the intensities: what is empty is the same everywhere
    signal = slices.std(axis=(1, 2), dtype=np.float64)
    if not signal.any():
        return []
    shown = np.flatnonzero(signal > LEAST_SHOWN_SHARE * np.median(signal[signal > 0.0]))
    return [
        n
        for n in range(shown[0] + 1, shown[-1])
        if signal[n]
        < LEAST_SIGNAL_SHARE * min(signal[shown[shown < n][-1]], signal[shown[shown > n][0]])
    ]


def equal_slices(slices: Image) -> list[tuple[int, int]]:
    """Return pairs of slices that are equal bit by bit and show something.

    Args:
        slices: Intensities, slices along the first axis.
    """
    first: dict[bytes, int] = {}
    pairs = []
    for n, image in enumerate(slices):
        if image.min() == image.max():
            continue
        known = first.setdefault(sha256(image.tobytes()).digest(), n)
        if known != n:
            pairs.append((known, n))
    return pairs


def _numbered(slices: list[int]) -> str:
    """Name slices by their numbers."""
    numbers = ", ".join(str(n) for n in slices[:MOST_NAMED])
    more = f" and {len(slices) - MOST_NAMED} more" if len(slices) > MOST_NAMED else ""
    return f"slice{'s' if len(slices) > 1 else ''} {numbers}{more} (counted from 0)"
