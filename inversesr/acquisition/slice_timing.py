"""When each slice of a series was measured, and how far its volumes lie apart in time."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inversesr.errors import InputError
from inversesr.io.series import Series
from inversesr.operators.slice_profile import Array

# Headers and sidecars are rounded: times beyond the volume by less than this share are at its end.
ROUNDING = 1e-3
# A repetition time above this is in milliseconds.
LONGEST_TR_S = 60.0
DIFFERENT = 0.01


def repetition_time(series: Series) -> tuple[float, tuple[str, ...]]:
    """Return the time between volumes in seconds, and what is odd about it, in sentences.

    Args:
        series: The series; its sidecar counts over its header.

    Raises:
        InputError: it is not stated, or no likely time.
    """
    name, stated = series.scan.name, series.scan.sidecar.get("RepetitionTime")
    tr: Any = series.header_tr_s if stated is None else stated
    is_number = isinstance(tr, int | float) and not isinstance(tr, bool)
    if not is_number or not 0.0 < tr <= LONGEST_TR_S:
        where = "the header" if stated is None else "the sidecar"
        message = (
            f"{name} has a repetition time of {tr!r} by {where}; expected seconds, above 0 and at "
            f"most {LONGEST_TR_S:g}: state RepetitionTime in the sidecar JSON"
        )
        raise InputError(message)
    header = series.header_tr_s
    if stated is not None and header > 0.0 and abs(header - tr) > DIFFERENT * tr:
        return float(tr), (
            f"the header states {header:.4g} s between volumes, the sidecar {tr:.4g} s: the "
            "latter is taken",
        )
    return float(tr), ()


def slice_times(
    series: Series, given: Sequence[float] | None, tr_s: float, n_slices: int
) -> tuple[Array, str]:
    """Return when each slice was measured after the start of its volume, and where that is from.

    Args:
        series: The series.
        given: Times that were given; None for those of the sidecar or header.
        tr_s: Time between volumes.
        n_slices: Number of slices.

    Raises:
        InputError: there are not as many times as slices, or they do not lie within a volume.
    """
    stated: Any = series.scan.sidecar.get("SliceTiming")
    where, times = "--slice-timing", given
    if times is None and stated is not None:
        where, times = "SliceTiming of the sidecar", _numbers(stated)
        if str(series.scan.sidecar.get("SliceEncodingDirection", "")).endswith("-"):
            times = times[::-1]
    if times is None and series.header_times_s is not None:
        where, times = "the header", series.header_times_s
    if times is None:
        return np.zeros(n_slices), ""
    if len(times) != n_slices:
        message = (
            f"{where} has {len(times)} times; expected one for each of the {n_slices} slices of "
            f"{series.scan.name}"
        )
        raise InputError(message)
    found = np.array(times, dtype=np.float64)
    low, high = float(found.min()), float(found.max())
    if not np.isfinite(found).all() or low < 0.0:
        message = f"{where} has the time {low:g} s; expected times of at least 0 s"
        raise InputError(message)
    if high > tr_s * (1.0 + ROUNDING):
        hint = " they may be in milliseconds" if high > 10.0 * tr_s else " check RepetitionTime"
        message = (
            f"{where} has times up to {high:g} s; expected at most the {tr_s:g} s of a "
            f"volume:{hint}"
        )
        raise InputError(message)
    return np.minimum(found, tr_s), where


def _numbers(stated: Any) -> Sequence[float]:  # noqa: ANN401 (JSON)
    is_list = isinstance(stated, list) and all(
        isinstance(t, int | float) and not isinstance(t, bool) for t in stated
    )
    if not is_list:
        message = "SliceTiming of the sidecar is no list of numbers; expected seconds, one a slice"
        raise InputError(message)
    return [float(t) for t in stated]
