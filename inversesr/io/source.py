"""Opens an image file up to its voxels, and notices what else is under its name."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel

from inversesr.errors import InputError
from inversesr.io.faults import UNREADABLE, quietly, refuse, refuse_machine
from inversesr.io.formats import reader_of
from inversesr.io.forms import forms_of
from inversesr.io.header import raw_header
from inversesr.io.offset import find_offset, moved
from inversesr.io.paths import misnamed, parts_of
from inversesr.io.stand_ins import FIRST_BYTES, check_content
from inversesr.io.streams import refuse_damage, stream_of


@dataclass(frozen=True, eq=False)
class Opened:
    """An image file that is open.

    Attributes:
        image: A nibabel image.
        notes: What is odd about the file, in sentences.
        header: Its NIfTI header as it is in the file; None for other formats.
    """

    image: Any
    notes: tuple[str, ...] = ()
    header: Any = None


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Give the nibabel image of a file; its voxels are to be read within the context.

    Args:
        path: An existing file with the name of an image.

    Raises:
        InputError: the file is no image, or is damaged.
        MachineError: the file cannot be read.
    """
    parts = parts_of(path)
    for part in parts:
        check_content(first_bytes(part), part, has_header=part is parts[0])
    try:
        reader = reader_of(path)
        yield _load(path) if reader is None else Opened(reader.load(path))
    except InputError:
        # what a damaged file seems to say is not worth telling
        for part in parts:
            refuse_damage(part, part.name)
        raise


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the files that make up an image: a single one, a pair, or a header and its voxels.

    Args:
        path: Any file; what is no image is a file of its own.

    Raises:
        OSError: it cannot be read.
    """
    reader = reader_of(path)
    if reader is None:
        return parts_of(path)
    voxels = reader.data_file(path)
    return (path,) if voxels is None or voxels == path else (path, voxels)


def first_bytes(path: Path) -> bytes:
    """Return the beginning of a file.

    Raises:
        MachineError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(FIRST_BYTES)
    except OSError as error:
        refuse_machine(path.name, error)
        raise


def _load(path: Path) -> Opened:
    header, *rest = parts_of(path)
    raw = None
    try:
        with quietly():
            raw, offset = raw_header(header), None
            if rest:
                # the voxels of a pair are read to their end later, its header here
                refuse_damage(header, header.name)
            else:
                with stream_of(path) as stream:
                    offset = find_offset(stream, path.name)
            return _placed(nibabel.load(path, mmap=False), offset, path, raw)
    except InputError:
        raise
    except UNREADABLE as error:
        refuse_machine(path.name, error)
        if raw is not None:
            # nibabel refuses a whole file for a form that is broken
            forms_of(raw, (1, 1, 1), path.name)
        fault = f"is not a readable image{misnamed(path)}: expected NIfTI or MGH, whole and intact"
        refuse(path.name, error, fault)


def _placed(image: Any, offset: int | None, path: Path, raw: Any) -> Opened:  # noqa: ANN401
    if offset != 0:
        return Opened(image, header=raw)
    image, offset = moved(image, path)
    note = (
        f"{path.name} says that its voxels begin at byte 0, where its header is (vox_offset): "
        f"they are read from byte {offset}"
    )
    return Opened(image, (note,), raw)
