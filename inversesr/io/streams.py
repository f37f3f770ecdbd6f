"""Reading voxels, and their file to its very end.

A gzip stream closes with a checksum and a length. They tell of damage only to who reads on to
them, behind the last voxel; nibabel stops before.

Reference: Deutsch, GZIP file format specification 4.3, RFC 1952 (1996).
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from nibabel.arrayproxy import ArrayProxy
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.io.faults import UNREADABLE, refuse, refuse_machine

COMPRESSED = (".gz", ".mgz")
CHUNK_BYTES = 1 << 20
# A small file may hold very much of nothing: it is not read to its end only to name its fault.
MOST_BYTES_TO_DIAGNOSE = 1 << 30
FURTHER_BYTES = "Not a gzipped file"


@dataclass(frozen=True, eq=False)
class Voxels:
    """What was read of a file.

    Attributes:
        data: The voxels, as they are scaled.
        n_surplus: How many bytes lie behind the last voxel.
        has_trailer: Whether something that is no gzip stream follows the compressed one.
    """

    data: NDArray[Any]
    n_surplus: int = 0
    has_trailer: bool = False


@contextmanager
def stream_of(path: Path) -> Iterator[BinaryIO]:
    """Open a file to read it, decompressed if its name says that it is compressed."""
    with path.open("rb") as raw:
        if not path.name.lower().endswith(COMPRESSED):
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as stream:
            yield cast("BinaryIO", stream)


def path_of(proxy: Any) -> Path | None:  # noqa: ANN401 (nibabel has no types)
    """Return the file that holds the voxels of an image; None where they are not in a file."""
    is_plain = type(proxy) is ArrayProxy and isinstance(proxy.file_like, str | Path)
    return Path(proxy.file_like) if is_plain else None


def read_voxels(proxy: Any, label: str, part: Any = None) -> Voxels:  # noqa: ANN401
    """Read the voxels of an image, and their file to its end.

    Args:
        proxy: The `dataobj` of a nibabel image, whose voxels are in a file.
        label: What messages call it.
        part: Which part of the array, as an index; None for all of it.

    Raises:
        InputError: the file ends before its last voxel, or is damaged.
        MachineError: this machine could not read it.
    """
    path = Path(proxy.file_like)
    spec = (proxy.shape, proxy.dtype, proxy.offset, proxy.slope, proxy.inter)
    n_bytes = proxy.dtype.itemsize * int(np.prod(proxy.shape, dtype=object))
    try:
        with stream_of(path) as stream, np.errstate(all="ignore"):
            # not mapped into memory: a disk that fails would end the process
            own = ArrayProxy(stream, spec, mmap=False, order=proxy.order)
            data = own.__array__(np.float32) if part is None else own[part]
            return _read_on(stream, data, proxy.offset + n_bytes)
    except UNREADABLE as error:
        refuse_machine(label, error)
        refuse_damage(path, label)
        refuse(label, error, "ends before its last voxel or is damaged: copy or convert it again")


def _read_on(stream: BinaryIO, data: NDArray[Any], end: int) -> Voxels:
    """Read the rest of a stream; gzip then compares its checksum and length with the content."""
    try:
        while stream.read(CHUNK_BYTES):
            pass
    except gzip.BadGzipFile as error:
        if not str(error).startswith(FURTHER_BYTES):
            raise
        # every stream up to here agreed with its checksum
        return Voxels(data, has_trailer=True)
    return Voxels(data, stream.tell() - end)


def refuse_damage(path: Path, label: str) -> None:
    """Refuse a file that cannot be read to its end, or does not agree with its checksum.

    Args:
        path: The file.
        label: What messages call it.

    Raises:
        InputError: it is damaged.
        MachineError: this machine could not read it.
    """
    n_read = 0
    try:
        with stream_of(path) as stream:
            while n_read < MOST_BYTES_TO_DIAGNOSE and (chunk := stream.read(CHUNK_BYTES)):
                n_read += len(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        if str(error).startswith(FURTHER_BYTES):
            return  # behind the image, or at its beginning: then it never was compressed
        message = f"{label} is damaged ({_what(error)}): copy it again"
        raise InputError(message) from error
    except OSError as error:
        refuse_machine(label, error)


def _what(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "it ends too early"
    if isinstance(error, zlib.error):
        return "its compressed content is spoilt"
    return "its checksum is wrong"
