"""What the header of a DICOM file says, as far as it decides which image a file belongs to.

Reference: DICOM PS3.3 2024, C.7.6 (image), C.8.3 (MR), C.8.13 (enhanced MR).
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.config import disable_value_validation

from inversesr.io.dicom.elements import UNREADABLE, Vector, number, numbers, text, texts
from inversesr.io.dicom.privacy import identity_of, person_of
from inversesr.io.dicom.whole import is_whole

# What a file without preamble begins with: group 0002 or 0008, in either order of bytes.
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")
PREAMBLE_BYTES = 128
MAGIC = b"DICM"
MADE_HERE = "inversesr"


@dataclass(frozen=True)
class Frame:
    """One slice: where it lies and what it shows.

    Attributes:
        position: Centre of the first voxel, left-posterior-superior millimetres.
        orientation: Direction of a row, and of a column, six cosines.
        spacing: Distance between rows, and between columns, in mm.
        thickness: Slice thickness in mm.
        echo_ms: Echo time.
        component: "MAGNITUDE", "PHASE", "REAL", "IMAGINARY" or nothing.
        contrast: What a Dixon method separated, such as "WATER", or nothing.
    """

    position: Vector | None
    orientation: Vector | None
    spacing: Vector | None
    thickness: float | None
    echo_ms: float | None
    component: str
    contrast: str


@dataclass(frozen=True)
class Instance:
    """One DICOM file.

    Attributes:
        path: The file.
        uid: SOP Instance UID.
        series_uid: Series Instance UID.
        study_uid: Study Instance UID.
        series_number: As stated, or None.
        number: Number of the instance, or None.
        description: Of the series; may be empty.
        time: Time of day of the series, hhmm, or empty.
        modality: Such as "MR".
        sop_class: Name of the kind of object.
        sop_class_uid: UID of it.
        image_type: Values of Image Type, in capitals.
        shape: Rows and columns; zeros where it holds no image.
        samples: Values a voxel; 3 for colour.
        frames: Its slices; one for a classic instance.
        is_tiled: Whether a frame holds many slices side by side (mosaic).
        is_whole: Whether the file holds all of its voxels.
        is_made_here: Whether this package wrote it.
        is_lossy: Whether its voxels were compressed with a loss.
        syntax: Transfer syntax UID.
        identity: Words that identify the patient, which are never shown.
        person: Short hash of the patient's identifier; empty where there is none.
    """

    path: Path
    uid: str
    series_uid: str
    study_uid: str
    series_number: int | None
    number: int | None
    description: str
    time: str
    modality: str
    sop_class: str
    sop_class_uid: str
    image_type: tuple[str, ...]
    shape: tuple[int, int]
    samples: int
    frames: tuple[Frame, ...]
    is_tiled: bool
    is_whole: bool
    is_made_here: bool
    is_lossy: bool
    syntax: str
    identity: frozenset[str] = frozenset()
    person: str = ""


def looks_like_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM does; its name says nothing.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        first = file.read(PREAMBLE_BYTES + len(MAGIC))
    return first[PREAMBLE_BYTES:] == MAGIC or (len(first) >= 12 and _begins_with_a_tag(first))


def _begins_with_a_tag(first: bytes) -> bool:
    """Whether a file without preamble begins with an early tag of a data set or its length."""
    if first[:2] not in FIRST_GROUPS:
        return False
    element = int.from_bytes(first[2:4], "big" if first[:1] == b"\0" else "little")
    is_text = first[4:6].isalpha() and first[4:6].isupper()
    length = int.from_bytes(first[4:8], "little")
    return element < 0x0100 and (is_text or length <= 0x100)


@contextmanager
def tolerant() -> Iterator[None]:
    """Keep pydicom from complaining of values that the standard does not allow."""
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def read_dataset(path: Path) -> tuple[Any, int]:
    """Return the header of a DICOM file, and where in the file it ends and the voxels begin.

    Raises:
        OSError: it cannot be read.
        Exception: one of `UNREADABLE`: it is no DICOM file, or damaged.
    """
    with tolerant(), path.open("rb") as file:
        dataset = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        return dataset, file.tell()


def read_instance(path: Path) -> Instance | None:
    """Return what the header of a file says; None for what is no DICOM object of a series.

    Raises:
        OSError: it cannot be read.
    """
    try:
        if not looks_like_dicom(path):
            return None
        dataset, end = read_dataset(path)
        with tolerant():
            return _instance(dataset, path, end)
    except UNREADABLE:
        return None


def _instance(dataset: Any, path: Path, end: int) -> Instance | None:  # noqa: ANN401
    series = text(dataset, "SeriesInstanceUID")
    if not series:
        return None  # an index (DICOMDIR), or something else
    image_type = tuple(word.upper() for word in texts(dataset, "ImageType"))
    rows, columns = number(dataset, "Rows") or 0, number(dataset, "Columns") or 0
    shape = (int(rows), int(columns))
    n_frames = int(number(dataset, "NumberOfFrames") or 1)
    sop_class = dataset.get("SOPClassUID")
    syntax = text(getattr(dataset, "file_meta", {}), "TransferSyntaxUID")
    frames = frames_of(dataset, image_type) if all(shape) else ()
    return Instance(
        path,
        text(dataset, "SOPInstanceUID"),
        series,
        text(dataset, "StudyInstanceUID"),
        _whole_number(dataset, "SeriesNumber"),
        _whole_number(dataset, "InstanceNumber"),
        text(dataset, "SeriesDescription") or text(dataset, "ProtocolName"),
        _time(dataset),
        text(dataset, "Modality").upper(),
        str(getattr(sop_class, "name", "")),
        str(sop_class or ""),
        image_type,
        shape,
        int(number(dataset, "SamplesPerPixel") or 1),
        frames,
        bool({"MOSAIC", "VFRAME"} & set(image_type)),
        is_whole(path, dataset, end, (*shape, n_frames)),
        text(dataset, "ManufacturerModelName") == MADE_HERE,
        text(dataset, "LossyImageCompression") == "01",
        syntax,
        identity_of(dataset),
        person_of(dataset),
    )


def frames_of(dataset: Any, image_type: tuple[str, ...] = ()) -> tuple[Frame, ...]:  # noqa: ANN401
    """Return the slices of an instance, in the order of its voxels.

    Args:
        dataset: Its header.
        image_type: Values of its Image Type, in capitals.
    """
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    if not per_frame:
        return (_frame([dataset], image_type),)
    shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])
    return tuple(
        _frame([_flat(frame), *map(_flat, shared), dataset], image_type) for frame in per_frame
    )


def _flat(groups: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the elements of functional groups by their keywords, private ones left out."""
    found: dict[str, Any] = {}
    for element in groups:
        if element.tag.is_private or element.VR != "SQ" or not element.value:
            continue
        for inner in element.value[0]:
            found.setdefault(inner.keyword, inner.value)
    return found


def _frame(sources: list[Any], image_type: tuple[str, ...]) -> Frame:
    """Return one slice; the first source that states something counts."""

    def vector(keyword: str, n: int) -> Vector | None:
        for source in sources:
            values = numbers(source, keyword)
            if len(values) == n:
                return values
        return None

    def one(*keywords: str) -> float | None:
        found = (number(source, key) for source in sources for key in keywords)
        return next((value for value in found if value is not None), None)

    def word(keyword: str) -> str:
        return next((found for source in sources if (found := text(source, keyword))), "")

    kinds = [t.upper() for source in sources for t in texts(source, "FrameType")] or image_type
    stated = word("ComplexImageComponent").upper()
    return Frame(
        vector("ImagePositionPatient", 3),
        vector("ImageOrientationPatient", 6),
        vector("PixelSpacing", 2),
        one("SliceThickness"),
        one("EffectiveEchoTime", "EchoTime"),
        stated if stated in COMPONENTS.values() else component_of(kinds),
        next((CONTRASTS[word] for word in kinds if word in CONTRASTS), ""),
    )


COMPONENTS = {
    "M": "MAGNITUDE", "MAGNITUDE": "MAGNITUDE", "P": "PHASE", "PHASE": "PHASE",
    "PHASE MAP": "PHASE", "PHASE_MAP": "PHASE", "R": "REAL", "REAL": "REAL",
    "I": "IMAGINARY", "IMAGINARY": "IMAGINARY",
}  # fmt: skip
CONTRASTS = {
    "W": "WATER", "WATER": "WATER", "F": "FAT", "FAT": "FAT", "IN_PHASE": "IN PHASE",
    "IP": "IN PHASE", "OPP_PHASE": "OPPOSED PHASE", "OUT_PHASE": "OPPOSED PHASE",
    "OP": "OPPOSED PHASE",
}  # fmt: skip


def component_of(kinds: Any) -> str:  # noqa: ANN401 (words)
    """Return which part of a complex image the words of an image type state; may be empty.

    Args:
        kinds: Words in capitals; the first two, such as ORIGINAL and PRIMARY, state no part.
    """
    words = list(kinds)[2:]
    for word in words:
        # Philips writes M_SE, P_FFE and so on
        part = COMPONENTS.get(word) or (COMPONENTS.get(word[0]) if word[1:2] == "_" else None)
        if part:
            return part
    return ""


def _whole_number(dataset: Any, keyword: str) -> int | None:  # noqa: ANN401
    found = number(dataset, keyword)
    return None if found is None else int(found)


def _time(dataset: Any) -> str:  # noqa: ANN401
    """Return the time of day of a series, hh:mm, without its date."""
    stated = text(dataset, "SeriesTime") or text(dataset, "AcquisitionTime")
    digits = stated.replace(":", "")[:4]
    return f"{digits[:2]}:{digits[2:]}" if len(digits) == 4 and digits.isdigit() else ""
