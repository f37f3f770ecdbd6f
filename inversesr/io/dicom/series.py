"""Puts DICOM files together to series, each of one image, and judges what each of them is."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inversesr.io.dicom.geometry import Layout, find_layout, plane_of
from inversesr.io.dicom.header import Frame, Instance
from inversesr.io.dicom.kinds import damage_of, doubt_of, other_of
from inversesr.io.dicom.privacy import short_hash, without_identity

# Voxels up to this much finer or coarser count as those of an isotropic image.
SAME_SPACING, THIN_MM = 1.05, 1.05
LOSSY_NOTE = "its voxels were compressed with a loss: fine details are those of the compression"


@dataclass(frozen=True, eq=False)
class Series:
    """The files of one image, and what is known of it.

    Attributes:
        instances: Its files, by number.
        key: What `--series` takes: its number, with a part where it holds several images.
        part: Which image of the series, such as "echo 102 ms"; empty where it is the only one.
        layout: Where its slices lie; None for a mosaic, or where that is at fault.
        fault: Why it cannot be restored, in words that follow its name; empty for a usable one.
        doubt: What else it is than a scan as it was taken, such as "a scout"; empty for a scan.
        is_other: Whether it is no scan at all: another modality, a picture, a map, a document.
        notes: What is odd about it, in words that follow its name.
    """

    instances: tuple[Instance, ...]
    key: str = ""
    part: str = ""
    layout: Layout | None = None
    fault: str = ""
    doubt: str = ""
    is_other: bool = False
    notes: tuple[str, ...] = ()

    @property
    def first(self) -> Instance:
        """Its first file."""
        return self.instances[0]

    @property
    def description(self) -> str:
        """Its description, with what identifies the patient left out, and its part."""
        told = without_identity(self.first.description, self.first.identity)
        return ", ".join(word for word in (told, self.part) if word)

    @property
    def label(self) -> str:
        """What messages call it."""
        told = f" ({self.description})" if self.description else ""
        return f"series {self.key}{told}"

    @property
    def plane(self) -> str:
        """Plane of its slices; empty where it is not stated."""
        return plane_of(self.first.frames[0]) if self.first.frames else ""

    @property
    def n_volumes(self) -> int:
        """Number of 3D images in it."""
        if self.layout is not None:
            return self.layout.n_volumes
        is_tiled = self.first.is_tiled and not self.fault
        return len(self.instances) if is_tiled else 1

    @property
    def is_thin(self) -> bool:
        """Whether its voxels leave nothing to refine by default."""
        if self.layout is None:
            return False
        largest, least = max(self.layout.spacing_mm), min(self.layout.spacing_mm)
        return largest <= max(THIN_MM, SAME_SPACING * least)


def group(instances: Iterable[Instance]) -> list[Series]:
    """Return the images that files make up, in the order of their numbers.

    Files of one series that differ in echo time, in the part of a complex image or in what a Dixon
    method separated are images of their own.
    """
    by_series: dict[str, list[Instance]] = {}
    for instance in instances:
        by_series.setdefault(instance.series_uid, []).append(instance)
    found = [one for files in by_series.values() for one in _images(files)]
    found.sort(key=lambda s: (s.first.study_uid, s.first.series_number or 0, s.first.series_uid))
    return _with_keys(found)


def _images(files: Sequence[Instance]) -> list[Series]:
    """Return the images within one series."""
    kept, notes, fault = _without_copies(files)
    parts: dict[tuple[str, str, float], list[Instance]] = {}
    for instance in kept:
        parts.setdefault(_part_key(instance.frames), []).append(instance)
    images = []
    for key in sorted(parts):
        ordered = sorted(parts[key], key=lambda i: (i.number or 0, i.uid))
        part = _told(key, parts) if len(parts) > 1 else ""
        images.append(_judged(Series(tuple(ordered), part=part, notes=notes, fault=fault)))
    return images


def _part_key(frames: Sequence[Frame]) -> tuple[str, str, float]:
    if not frames:
        return "", "", 0.0
    first = frames[0]
    return first.component, first.contrast, round(first.echo_ms or 0.0, 2)


def _told(key: tuple[str, str, float], parts: Iterable[tuple[str, str, float]]) -> str:
    """Return what tells one image of a series from the others."""
    words = []
    for n, (value, name) in enumerate(zip(key, ("{}", "{}", "echo {:g} ms"), strict=True)):
        if len({other[n] for other in parts}) > 1 and value:
            words.append(name.format(value.lower() if isinstance(value, str) else value))
    return ", ".join(words)


def _without_copies(files: Sequence[Instance]) -> tuple[list[Instance], tuple[str, ...], str]:
    """Leave out copies of a file; return what is left, what was done, and what is wrong."""
    kept: dict[str, Instance] = {}
    digests: dict[str, bytes] = {}
    n_copies = 0
    for instance in files:
        other = kept.setdefault(instance.uid or str(instance.path), instance)
        if other is instance:
            continue
        first = digests.setdefault(other.uid, _digest(other.path))
        if _digest(instance.path) != first:
            number = "?" if instance.number is None else instance.number
            fault = f"has instance {number} twice, with different content: keep one of them"
            return list(kept.values()), (), fault
        n_copies += 1
    note = (f"holds {n_copies} files twice: the copies are left out",) if n_copies else ()
    return list(kept.values()), note, ""


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _judged(series: Series) -> Series:
    """Find out what a series is, and where its slices lie."""
    instances = series.instances
    other = other_of(instances)
    fault, doubt = other or series.fault or damage_of(instances), doubt_of(instances)
    if any(i.is_lossy for i in instances):
        series = replace(series, notes=(*series.notes, LOSSY_NOTE))
    if fault or (series.first.is_tiled and len(series.first.frames) == 1):
        return replace(series, fault=fault, doubt=doubt, is_other=bool(other))
    layout, fault = find_layout(instances)
    parts = {_part_key([frame]) for i in instances for frame in i.frames}
    if len(parts) > 1:
        told = " and ".join(_told(key, parts) or "another" for key in sorted(parts)[:3])
        fault = f"holds {len(parts)} images in one object ({told}): separate them first"
    return replace(series, layout=None if fault else layout, fault=fault, doubt=doubt)


def _with_keys(found: Sequence[Series]) -> list[Series]:
    """Give each image what it is chosen by: its number, or a hash where that is not its own."""
    owners: dict[int | None, set[str]] = {}
    for series in found:
        owners.setdefault(series.first.series_number, set()).add(series.first.series_uid)
    sizes = Counter(series.first.series_uid for series in found)
    seen: Counter[str] = Counter()
    keyed = []
    for series in found:
        number, uid = series.first.series_number, series.first.series_uid
        is_own = number is not None and len(owners[number]) == 1
        key = str(number) if is_own else short_hash(uid)
        seen[uid] += 1
        keyed.append(replace(series, key=f"{key}-{seen[uid]}" if sizes[uid] > 1 else key))
    return keyed
