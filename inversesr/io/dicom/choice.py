"""Chooses the series to restore, or says which ones there are and how to choose."""

from collections.abc import Sequence

from inversesr.errors import InputError
from inversesr.io.dicom.series import Series

HEADINGS = ("number", "description", "plane", "voxels", "spacing in mm", "time", "")
MOST_TOLD = 4
# What is taken without being named where nothing else is there.
PLAIN_DERIVED = "a derived image"


class SeveralSeriesError(InputError):
    """Several series could be restored: the message holds their table and how to choose."""


def choose(series: Sequence[Series], wanted: str | None, place: str) -> Series:
    """Return the series to restore.

    Without a wish that is the only thick-slice scan; else the only other scan.

    Args:
        series: All series that there are.
        wanted: Number, UID, or a part of the description; None for the only usable one.
        place: What messages call the folder, file or archive.

    Raises:
        InputError: none can be restored, or several can.
    """
    if wanted is not None:
        return _named(series, wanted, place)
    usable = [one for one in series if not one.fault and not one.doubt]
    thick = [one for one in usable if one.n_volumes == 1 and not one.is_thin]
    derived = [one for one in series if not one.fault and one.doubt == PLAIN_DERIVED]
    found = thick or usable or derived
    if not found:
        raise InputError(_nothing(series, place))
    if len(found) > 1:
        raise _several(series, found, place)
    return found[0]


def scans_among(series: Sequence[Series]) -> list[Series]:
    """Return the series of which each is a scan of its own in a batch, unusable scans included.

    Scouts, derived images, 4D series, images without thick slices and what is no scan at all are
    left out, unless nothing else is there.
    """
    scans = [one for one in series if not one.doubt and not one.is_other]
    thick = [one for one in scans if one.n_volumes == 1 and not one.is_thin]
    return thick or scans or list(series[:1])


def matching(series: Sequence[Series], wanted: str) -> list[Series]:
    """Return the series of a key, else of a number or UID, else with a text in the description.

    Args:
        series: All series that there are.
        wanted: What a user gave.
    """
    wish = wanted.strip()
    return (
        [one for one in series if one.key == wish]
        or [one for one in series if wish in (one.first.series_uid, str(one.first.series_number))]
        or [one for one in series if wish and wish.lower() in one.description.lower()]
    )


def _named(series: Sequence[Series], wanted: str, place: str) -> Series:
    """Return the series that a user named."""
    found = matching(series, wanted)
    if not found:
        message = f"{place} holds no series {wanted.strip()!r}: give one of these\n{table(series)}"
        raise InputError(message)
    if len(found) > 1:
        raise _several(series, found, place)
    if found[0].fault:
        message = f"{place}: {found[0].label} {found[0].fault}"
        raise InputError(message)
    return found[0]


def _several(series: Sequence[Series], found: Sequence[Series], place: str) -> SeveralSeriesError:
    ordered = [*found, *(one for one in series if one not in found)]
    keys = " or ".join(f"--series {one.key}" for one in found[:2])
    return SeveralSeriesError(
        f"{place} holds {len(found)} series that can be restored: choose one, for example by "
        f"{keys} (number, UID, or a part of the description)\n{table(ordered)}"
    )


def _nothing(series: Sequence[Series], place: str) -> str:
    """Say why nothing can be restored."""
    told = [f"{one.label} {one.fault or f'is {one.doubt}'}" for one in series[:MOST_TOLD]]
    if len(series) == 1:
        hint = "" if series[0].fault else ": to restore it all the same, give --series"
        return f"{place}: {told[0]}{hint}" + ("" if series[0].fault else f" {series[0].key}")
    rest = f"; and {len(series) - MOST_TOLD} more" if len(series) > MOST_TOLD else ""
    return f"{place} holds no series that can be restored: {'; '.join(told)}{rest}"


def table(series: Sequence[Series]) -> str:
    """Return series as lines of text: number, description, plane, size, spacing, time, remark."""
    rows = [HEADINGS, *(_row(one) for one in series)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(HEADINGS))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(f"  {line.rstrip()}" for line in lines)


def _row(one: Series) -> tuple[str, ...]:
    layout, remark = one.layout, one.fault or one.doubt
    if not remark and one.n_volumes > 1:
        remark = f"4D, {one.n_volumes} volumes: choose one by --volume"
    if not remark and one.is_thin:
        remark = "no thick slices"
    size = spacing = ""
    if layout is not None:
        size = " x ".join(str(n) for n in layout.shape)
        spacing = " x ".join(f"{s:.3g}" for s in layout.spacing_mm)
    description = one.description[:40]
    return (one.key, description, one.plane, size, spacing, one.first.time, remark)
