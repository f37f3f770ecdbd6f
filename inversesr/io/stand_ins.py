"""Files that only stand for an image: links without content, pointers, web pages, nothing at all.

A version control system for data, a failed download or a wrong name leaves such a file. Each is
told by its first bytes, with what fetches or unpacks the image.
"""

import gzip
import zlib
from contextlib import suppress
from pathlib import Path

from inversesr.errors import InputError

FIRST_BYTES = 512
GZIP_MAGIC = b"\x1f\x8b"
NRRD_MAGIC = b"NRRD000"
ANNEX_FOLDER = "annex/objects"
TEXT = bytes(range(32, 127)) + b"\t\n\r\f"
FETCH = "`datalad get {path}` or `git annex get {path}`"
_ANNEX = f"is a git-annex pointer, not the image: fetch it with {FETCH}"
_PAGE = (
    "is a web page (HTML or XML), not an image: the download failed, or asked to log in; "
    "download it again"
)
_PICTURE = "is a picture, which carries no voxel sizes: convert the scan from DICOM"
# First bytes in small letters -> what it is, and what to do. Voxels do not begin so.
POINTERS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the image: fetch it with "
     "`git lfs pull -I {name}`"),
    (b"/annex/objects/", _ANNEX),
    (b"\\annex\\objects\\", _ANNEX),
    (b"<!doctype", _PAGE), (b"<!--", _PAGE), (b"<html", _PAGE), (b"<head", _PAGE),
    (b"<?xml", _PAGE), (b"<error", _PAGE),
)  # fmt: skip
# Others begin so; where in the file they do.
CONTAINERS = (
    (0, b"PK\x03\x04", "is a zip archive: unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it first"),
    (257, b"ustar", "is a tar archive: unpack it first (`tar xf`)"),
    (0, b"BZh", "is compressed by bzip2: unpack it first (`bunzip2`)"),
    (0, b"\xfd7zXZ", "is compressed by xz: unpack it first (`unxz`)"),
    (0, b"\x28\xb5\x2f\xfd", "is compressed by zstd: unpack it first (`unzstd`)"),
    (128, b"DICM", "is a DICOM file: convert its folder with `dcm2niix -z y -b y FOLDER`"),
    (0, NRRD_MAGIC, "is NRRD by its content: rename it to end in .nrrd"),
    (0, b"\x89HDF", "is HDF5, perhaps MINC: convert it with `mnc2nii`, or by what wrote it"),
    (0, b"CDF\x01", "is MINC: convert it with `mnc2nii`"),
    (0, b"%PDF", "is a PDF document: give the image itself"),
    (0, b"\x89PNG", _PICTURE),
    (0, b"\xff\xd8\xff", _PICTURE),
)


def check_link(path: Path) -> None:
    """Refuse a link that leads nowhere.

    Raises:
        InputError: the path is such a link.
    """
    if not path.is_symlink() or path.exists():
        return
    target = path.readlink()
    if ANNEX_FOLDER in target.as_posix().replace("\\", "/"):
        message = (
            f"{path.name} is a git-annex link whose content is not on this machine: fetch it "
            f"with {FETCH.format(path=path)}"
        )
        raise InputError(message)
    message = f"{path.name} is a link to {target}, which does not exist: mend the link"
    raise InputError(message)


def check_content(first: bytes, path: Path, *, has_header: bool = True) -> None:
    """Refuse a file that begins as no image does.

    Args:
        first: First bytes of the file.
        path: The file.
        has_header: Whether the image begins with a header in this file, not with any voxels.

    Raises:
        InputError: the file is empty, a pointer, a web page or something else.
    """
    found = "is empty (0 bytes): copy or download it again" if not first else _pointer(first)
    if not found and has_header:
        found = _other(first, path)
    if found:
        message = f"{path.name} {found.format(path=path, name=path.name)}"
        raise InputError(message)


def _pointer(first: bytes) -> str:
    start = first.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return next((told for beginning, told in POINTERS if start.startswith(beginning)), "")


def _other(first: bytes, path: Path) -> str:
    """Return what a file is that begins with something else than the header of an image."""
    if not first.strip(b"\0"):
        return "begins with zeros only: an interrupted copy leaves such a file; copy it again"
    if path.name.lower().endswith((".nrrd", ".nhdr", ".mha", ".mhd")):
        return ""  # these begin with text of their own
    if not first.startswith(GZIP_MAGIC):
        return _container(first) or _text(first)
    inner = _unpacked(path)
    if inner.startswith(GZIP_MAGIC):
        return "is compressed twice: unpack it once (`gunzip`), and name the result as this file"
    found = _pointer(inner) or _container(inner) or (inner and _text(inner))
    return f"is compressed, and what is in it {found}" if found else ""


def _container(first: bytes) -> str:
    return next((told for at, magic, told in CONTAINERS if first[at:].startswith(magic)), "")


def _text(first: bytes) -> str:
    if first.translate(None, TEXT):
        return ""
    return "is plain text, not a readable image: read what it says, and fetch the image again"


def _unpacked(path: Path) -> bytes:
    """Return the first bytes of what a compressed file holds; damage is for others to tell."""
    with suppress(EOFError, zlib.error, gzip.BadGzipFile), gzip.open(path) as stream:
        return stream.read(FIRST_BYTES)
    return b""
