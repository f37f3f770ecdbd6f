"""Takes in what a user names: image files as they are, DICOM series as images made for the run."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inversesr.errors import InputError
from inversesr.io.atomic import scratch_folder
from inversesr.io.dicom.choice import choose
from inversesr.io.dicom.convert import convert
from inversesr.io.dicom.facts import input_facts, sidecar_of
from inversesr.io.dicom.files import is_dicom, read_place
from inversesr.io.dicom.privacy import name_without_identity
from inversesr.io.dicom.series import Series, group
from inversesr.io.json_text import json_text
from inversesr.io.nifti import Scan
from inversesr.io.paths import from_home

# FOLDER::NUMBER, or FOLDER/::NUMBER, names one series of a folder.
KEY_MARK = "::"


@dataclass(frozen=True, eq=False)
class Taken:
    """One scan of a run.

    Attributes:
        path: Image file to be read: what was given, or the image that a series was converted to.
        shown: By what results are named and placed, as a path of an image.
        series: The DICOM series; None for an image file.
        facts: Name, size and sha256 of the series, for the record; None for an image file.
        acquisition: How the series was taken, with the keys of BIDS; None for an image file.
        notes: What is odd about the series, in sentences.
    """

    path: Path
    shown: Path
    series: Series | None = None
    facts: dict[str, Any] | None = None
    acquisition: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()

    def with_notes(self, scan: Scan) -> Scan:
        """Return a scan with what is odd about its series among its warnings."""
        return replace(scan, warnings=(*scan.warnings, *self.notes)) if self.notes else scan


@contextmanager
def taken_in(paths: Sequence[Path], wanted: str | None = None) -> Iterator[list[Taken]]:
    """Give the image files of a run; what was made of DICOM is there within the context only.

    Args:
        paths: Image files, DICOM files, folders or zip archives; PLACE::NUMBER for one series.
        wanted: Number, UID or a part of the description of the series to take from each place.

    Raises:
        InputError: a series cannot be used, several could be, or they are of different persons.
        MachineError: the machine is at fault.
    """
    places = [from_home(path) for path in paths]
    split = [_split(path) for path in places]
    if not any(is_dicom(place) for place, _ in split):
        if wanted is not None:
            message = f"--series {wanted} chooses among DICOM series; {places[0].name} is none"
            raise InputError(message)
        yield [Taken(path, path) for path in places]
        return
    with scratch_folder() as scratch:
        taken = []
        for n, (place, key) in enumerate(split):
            own = scratch / str(n)
            own.mkdir()
            is_series = is_dicom(place)
            taken.append(_take(place, key or wanted, own) if is_series else Taken(place, place))
        _check_together([one.series for one in taken if one.series is not None])
        yield taken


def beside(one: Taken, place: Path | None) -> Path | None:
    """Return where the results of a scan go: a DICOM series' are placed beside what was given.

    Args:
        one: The scan.
        place: The place that was asked for; None for beside the scan.
    """
    return one.shown.parent if place is None and one.series is not None else place


def facts_of(path: Path) -> dict[str, Any] | None:
    """Return what a record says of a series, without converting it; None for an image file.

    Args:
        path: See `taken_in`.

    Raises:
        InputError: no such series can be used.
    """
    place, key = _split(path)
    if not is_dicom(place):
        return None
    with scratch_folder() as scratch:
        series = find_series(place, key, scratch)
        return input_facts(series, shown_path(place, series).stem)


def find_series(place: Path, wanted: str | None, scratch: Path) -> Series:
    """Return the series of a place that is to be restored; see `choose`."""
    unpacked = scratch / "files"
    unpacked.mkdir()
    return choose(group(read_place(place, unpacked)), wanted, place.name or str(place))


def shown_path(place: Path, series: Series) -> Path:
    """Return the path by which the results of a series are named and placed: beside its place."""
    whole = place.resolve()
    name = name_without_identity(whole, series.first.identity, series.first.study_uid)
    return whole.with_name(f"{name}_series-{series.key}.nii")


def _split(path: Path) -> tuple[Path, str | None]:
    """Return a place and which of its series is named, if any."""
    start, mark, key = path.name.rpartition(KEY_MARK)
    if not mark or not key or path.exists():
        return path, None
    return path.with_name(start) if start else path.parent, key


def _take(place: Path, wanted: str | None, scratch: Path) -> Taken:
    series = find_series(place, wanted, scratch)
    shown = shown_path(place, series)
    made = convert(series, scratch)
    path = scratch / shown.name
    made.path.replace(path)
    # of a diffusion series: what dcm2niix reads of its weighting, in the axes of the image
    for ending in (".bval", ".bvec"):
        if made.path.with_suffix(ending).is_file():
            made.path.with_suffix(ending).replace(path.with_suffix(ending))
    acquisition = sidecar_of(series, made.facts)
    path.with_suffix(".json").write_text(json_text(acquisition))
    notes = [f"{shown.stem} {note}" for note in (*series.notes, *made.notes)]
    if series.doubt:
        notes.append(f"{shown.stem} is {series.doubt}, no scan as it was taken")
    return Taken(path, shown, series, input_facts(series, shown.stem), acquisition, tuple(notes))


def _check_together(taken: Sequence[Series]) -> None:
    """Refuse one series twice, and series of different persons.

    Raises:
        InputError: they are not to be fused.
    """
    if len({(one.first.series_uid, one.part) for one in taken}) < len(taken):
        message = "the same series is named twice: name each series once"
        raise InputError(message)
    persons = {one.first.person for one in taken if one.first.person}
    if len(persons) > 1:
        message = (
            "the series are of different patients by their headers; several scans of one run are "
            "fused into one image: to restore each by itself, run `inversesr batch FOLDER -o DIR`"
        )
        raise InputError(message)
