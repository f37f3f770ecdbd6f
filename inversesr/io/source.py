"""Opens an image file, and notices when it is damaged or the machine fails.

nibabel stops reading where the voxels end and so never reaches the checksum and the length with
which a compressed file closes. Here the voxels are read from a stream that is then read to its
end: gzip compares both.
"""

import gzip
import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError
from nibabel.spatialimages import HeaderDataError

from inversesr.errors import InputError, MachineError, is_out_of_memory, machine_fault
from inversesr.io import itk
from inversesr.io.checks import ITK_SUFFIXES, misnamed
from inversesr.io.offset import find_offset, moved
from inversesr.io.stand_ins import FIRST_BYTES, check_content

# What nibabel, gzip and numpy raise on files that are cut off, empty or something else.
UNREADABLE = (
    ImageFileError, HeaderDataError, MGHError, EOFError, OSError, ValueError, TypeError, KeyError,
    IndexError, OverflowError, AttributeError, struct.error, zlib.error, MemoryError,
)  # fmt: skip
GZIP_MAGIC = b"\x1f\x8b"
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class Opened:
    """An image file that is open.

    Attributes:
        image: A nibabel image.
        notes: What is odd about the file, in sentences.
    """

    image: Any
    notes: tuple[str, ...] = ()


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Give the nibabel image of a file; its voxels are to be read within the context.

    Args:
        path: An existing file with the name of an image.

    Raises:
        InputError: the file is no image, or is damaged.
        MachineError: the file cannot be read.
    """
    first = first_bytes(path)
    check_content(first, path)
    if path.name.lower().endswith(ITK_SUFFIXES):
        yield Opened(itk.load(path))
    elif first.startswith(GZIP_MAGIC):
        with _stream(path) as stream:
            yield _of_stream(path, stream)
            _read_to_end(path, stream)
    else:
        yield _of_file(path)


def first_bytes(path: Path) -> bytes:
    """Return the beginning of a file.

    Raises:
        MachineError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(FIRST_BYTES)
    except OSError as error:
        refuse(path.name, error, "")


def refuse(label: str, error: Exception, fault: str) -> NoReturn:
    """Raise what tells the true cause of a failure to read.

    Args:
        label: Name of the file.
        error: What was raised.
        fault: What is wrong with the file where the machine is not to blame.

    Raises:
        MachineError: the machine is to blame.
        InputError: the file is.
    """
    if is_out_of_memory(error):
        raise error
    if isinstance(error, FileNotFoundError):
        message = f"{label} needs {error.filename}, which does not exist: put both in one folder"
        raise InputError(message) from error
    if cause := machine_fault(error):
        message = f"{label} cannot be read now ({cause}): check disk, network and permissions"
        raise MachineError(message) from error
    message = f"{label} {fault}"
    raise InputError(message) from error


@contextmanager
def _stream(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        refuse(path.name, error, "")
    with file, gzip.GzipFile(fileobj=file) as stream:
        yield cast(BinaryIO, stream)


def _of_stream(path: Path, stream: BinaryIO) -> Opened:
    with _telling(path):
        offset = find_offset(stream, path.name)
        # the file is known by its name; what was read so far is read again, from the stream
        kind = type(nibabel.load(path))
        image = kind.from_file_map(kind.make_file_map({"image": stream}))
        return _placed(image, offset, stream, path.name)


def _of_file(path: Path) -> Opened:
    with _telling(path):
        with path.open("rb") as file:
            offset = find_offset(file, path.name)
        # a file that is mapped into memory ends the process where the disk fails
        image = nibabel.load(path, mmap=False)
        return _placed(image, offset, path, path.name)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turn what is raised over a header into a sentence."""
    try:
        with quietly():
            yield
    except InputError:
        raise
    except UNREADABLE as error:
        fault = f"is not a readable image{misnamed(path)}: expected NIfTI or MGH, whole and intact"
        refuse(path.name, error, fault)


def _placed(image: Any, offset: int | None, file: Any, label: str) -> Opened:  # noqa: ANN401
    if offset != 0:
        return Opened(image)
    image, offset = moved(image, file)
    note = (
        f"{label} says that its voxels begin at byte 0, where its header is (vox_offset): they "
        f"are read from byte {offset}"
    )
    return Opened(image, (note,))


@contextmanager
def quietly() -> Iterator[None]:
    """Keep nibabel from telling what it mends in a header, and numpy what overflows in it."""
    logger = logging.getLogger("nibabel.global")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        logger.setLevel(level)


def _read_to_end(path: Path, stream: BinaryIO) -> None:
    """Read what follows the voxels, for the checksum at the end.

    Raises:
        InputError: the stream is damaged.
        MachineError: it cannot be read.
    """
    try:
        while stream.read(CHUNK_BYTES):
            pass
    except UNREADABLE as error:
        refuse(path.name, error, "is damaged (its checksum is wrong): copy it again")
