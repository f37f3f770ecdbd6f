"""The DICOM scans below a folder, for a batch: each by a path of its own, PLACE/::NUMBER."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from inversesr.io.atomic import scratch_folder
from inversesr.io.dicom.choice import matching, scans_among
from inversesr.io.dicom.files import ZIP, may_be_dicom, read_all, read_place
from inversesr.io.dicom.series import Series, group
from inversesr.io.dicom.taking import KEY_MARK, shown_path


@dataclass(frozen=True)
class Listed:
    """One series of a batch.

    Attributes:
        path: What `taken_in` takes: the place of the series and its number.
        shown: By what its results are named, as the path of an image beside that place.
    """

    path: Path
    shown: Path


def series_below(folder: Path, files: Iterable[Path], wanted: str | None = None) -> list[Listed]:
    """Return the DICOM scans among files, in folders and in zip archives.

    The place of a series is the innermost folder with all of its files. Of each study all
    thick-slice scans are taken, those at fault included: a batch says why it refuses them.

    Args:
        folder: Folder of the batch.
        files: The files below it.
        wanted: Number, UID or a part of the description of the series to take; None for all.

    Raises:
        OSError: a file cannot be read.
        InputError: an archive cannot be used.
        MachineError: the machine cannot read it.
    """
    several = list(files)
    instances = read_all(file for file in several if may_be_dicom(file))
    listed = []
    for place, chosen in _places(folder, _chosen(group(instances), wanted)).items():
        # as it will be read again: a series has its number among all below the same place
        below = group(i for i in instances if i.path.is_relative_to(place))
        listed += [_listed(place, one) for one in below if _name(one) in chosen]
    for archive in several:
        if archive.suffix.lower() == ZIP:
            listed += _in_archive(archive, wanted)
    return sorted(listed, key=lambda one: one.path)


def _chosen(series: Sequence[Series], wanted: str | None) -> list[Series]:
    """Return the scans to take, study by study."""
    if wanted is not None:
        return matching(series, wanted)
    studies: dict[str, list[Series]] = {}
    for one in series:
        studies.setdefault(one.first.study_uid, []).append(one)
    return [one for study in studies.values() for one in scans_among(study)]


def _places(folder: Path, series: Sequence[Series]) -> dict[Path, set[tuple[str, str]]]:
    """Return which series have which innermost folder."""
    places: dict[Path, set[tuple[str, str]]] = {}
    for one in series:
        common = Path(os.path.commonpath([instance.path.parent for instance in one.instances]))
        place = common if common.is_relative_to(folder) else folder
        places.setdefault(place, set()).add(_name(one))
    return places


def _name(series: Series) -> tuple[str, str]:
    return series.first.series_uid, series.part


def _in_archive(archive: Path, wanted: str | None) -> list[Listed]:
    with scratch_folder() as scratch:
        series = group(read_place(archive, scratch))
        return [_listed(archive, one) for one in _chosen(series, wanted)]


def _listed(place: Path, series: Series) -> Listed:
    return Listed(place / f"{KEY_MARK}{series.key}", shown_path(place, series))
