"""Whether a DICOM file holds all of its voxels, judged without decoding them.

Reference: DICOM PS3.5 2024, A.4 (encapsulation of compressed frames).
"""

import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pydicom.uid import ExplicitVRBigEndian

PIXEL_DATA = (0x7FE0, 0x0010)
HEAD_BYTES, SHORT_HEAD_BYTES = 12, 8
UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM, SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
DEFLATED = "1.2.840.10008.1.2.1.99"


def is_whole(
    path: Path,
    dataset: Any,  # noqa: ANN401 (pydicom's data sets are dynamic)
    start: int,
    shape: tuple[int, int, int],
) -> bool:
    """Whether a file holds the voxels that its header declares.

    Args:
        path: The file.
        dataset: Its header, up to the voxels.
        start: Where in the file the header ends.
        shape: Rows, columns and frames.

    Raises:
        OSError: it cannot be read.
    """
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if syntax == DEFLATED:
        return True  # the end of the stream is for the converter to miss
    sign = ">" if syntax == ExplicitVRBigEndian else "<"
    with path.open("rb") as file:
        file.seek(start)
        length = _length(file.read(HEAD_BYTES), sign)
        if length is None:
            return False
        begin = start + (HEAD_BYTES if length.is_long else SHORT_HEAD_BYTES)
        if length.value == UNDEFINED_LENGTH:
            return _fragments_end(file, begin)
        size = file.seek(0, 2)
    rows, columns, frames = shape
    bits = int(dataset.get("BitsAllocated") or 16) * int(dataset.get("SamplesPerPixel") or 1)
    declared = rows * columns * frames * bits // 8
    return length.value >= declared > 0 and size - begin >= declared


class _Length(NamedTuple):
    value: int
    is_long: bool


def _length(head: bytes, sign: str) -> _Length | None:
    """Return the length of the voxels from the first bytes of their element; None for another."""
    if len(head) < HEAD_BYTES or struct.unpack(f"{sign}HH", head[:4]) != PIXEL_DATA:
        return None
    is_long = head[4:6] in (b"OW", b"OB", b"UN")
    value = struct.unpack(f"{sign}I", head[8:12] if is_long else head[4:8])[0]
    return _Length(int(value), is_long)


def _fragments_end(file: BinaryIO, here: int) -> bool:
    """Whether compressed fragments go on to the mark of their end."""
    size = file.seek(0, 2)
    n_fragments = 0
    while here + 8 <= size:
        file.seek(here)
        group, element, length = struct.unpack("<HHI", file.read(8))
        tag = group << 16 | element
        if tag == SEQUENCE_END:
            return n_fragments > 1  # the first one is a table of offsets
        if tag != ITEM:
            return False
        here += 8 + length
        n_fragments += 1
    return False
