"""Where the voxels of a NIfTI file begin, by its header, and whether they can begin there."""

import struct
from pathlib import Path
from typing import Any, BinaryIO

import nibabel
from nibabel.arrayproxy import ArrayProxy

from inversesr.errors import FAULTS_OF_ARGUMENTS, InputError

# header size -> (magic, of a single file or of a pair that was renamed to look like one, and its
# place; place and type of vox_offset; least offset)
KINDS = {
    348: ((b"n+1", b"ni1"), 344, 108, "f", 352),
    540: ((b"n+2", b"ni2"), 4, 168, "q", 544),
}
HEADER_BYTES = 544


def find_offset(stream: BinaryIO, label: str) -> int | None:
    """Return where voxels begin; 0 means that the header does not say.

    Args:
        stream: The file, decompressed, at its beginning; it is there again afterwards.
        label: Name of the file.

    Returns:
        Bytes from the beginning of the file; None for what is no single-file NIfTI.

    Raises:
        InputError: they would lie within the header or beyond the end of the file.
    """
    start = stream.read(HEADER_BYTES)
    found = _stated(start)
    if found is None:
        stream.seek(0)
        return None
    offset, least = found
    fault = ""
    if not 0 <= offset < 2**62 or offset % 1:
        fault = "which is no place in a file"
    elif 0 < offset < least:
        fault = "within its header"
    elif offset:
        fault = "" if _reaches(stream, int(offset)) else "beyond the end of the file"
    stream.seek(0)
    if fault:
        message = (
            f"{label} says that its voxels begin at byte {offset:g} (vox_offset), {fault}; "
            f"expected {least} or a little more: repair the header, or convert the scan again"
        )
        raise InputError(message)
    return int(offset)


def moved(image: Any, file: Path) -> tuple[Any, int]:  # noqa: ANN401 (nibabel has no types)
    """Return an image whose voxels are read from behind its header, and where that is.

    Args:
        image: Image whose header says that voxels begin at byte 0.
        file: Its file.
    """
    is_nifti2 = isinstance(image, nibabel.Nifti2Image)
    offset = KINDS[540 if is_nifti2 else 348][-1]
    old = image.dataobj
    proxy = ArrayProxy(
        str(file), (image.shape, old.dtype, offset, old.slope, old.inter), mmap=False
    )
    return type(image)(proxy, image.affine, image.header), offset


def _reaches(stream: BinaryIO, offset: int) -> bool:
    """Whether a file has a byte at a place."""
    try:
        stream.seek(offset)
        return bool(stream.read(1))
    except OSError as error:
        if error.errno in FAULTS_OF_ARGUMENTS:
            return False
        raise


def _stated(start: bytes) -> tuple[float, int] | None:
    """Return vox_offset and the least that it can be; None for other files."""
    for order in "<>":
        if len(start) < 4:
            return None
        (size,) = struct.unpack_from(f"{order}i", start)
        magic, at, place, kind, least = KINDS.get(size, ((), 0, 0, "", 0))
        if len(start) >= size and start[at : at + 3] in magic:
            return float(struct.unpack_from(order + kind, start, place)[0]), least
    return None
