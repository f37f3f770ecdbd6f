"""Finds the DICOM files that a folder, a file or an archive stands for.

Archives are unpacked under names of their own, within limits: an archive may claim any name, and
any size.
"""

import os
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NoReturn

from inversesr.errors import AccessError, InputError, MachineError, machine_fault
from inversesr.io.checks import SUFFIXES
from inversesr.io.dicom.header import Instance, looks_like_dicom, read_instance

INDEX_NAME = "dicomdir"
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
ZIP = ".zip"
# Files that scanners and exports leave beside images; reading them would only take time.
OTHER_SUFFIXES = (".json", ".html", ".csv", ".tsv", ".txt", ".pdf", ".jpg", ".png", ".exe", ".js")
# An archive that holds more is no study of a head; one that packs better is none of images.
MOST_FILES, MOST_BYTES, MOST_RATIO = 100_000, 16 << 30, 500
RATIO_BYTES = 256 << 20
CHUNK_BYTES = 1 << 20
# Left free on the disk onto which an archive is unpacked.
SPARE_BYTES = 256 << 20
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def is_dicom(path: Path) -> bool:
    """Whether a path is for this room to read: a folder, an archive, or a DICOM file.

    Args:
        path: What a user gave; what does not exist is for others to tell.
    """
    name = path.name.lower()
    try:
        if path.is_dir():
            return True
        if not path.is_file() or name.endswith(SUFFIXES):
            return False
        return name.endswith((ZIP, *DICOM_SUFFIXES)) or looks_like_dicom(path)
    except OSError:
        return False  # who reads it says what is wrong


def read_place(path: Path, scratch: Path) -> list[Instance]:
    """Return what the DICOM files of a folder, of an archive, or beside a file say.

    A file stands for its series: the files of it that lie in the same folder. A DICOMDIR stands
    for its folder.

    Args:
        path: A folder, a zip archive, a DICOM file or a DICOMDIR.
        scratch: An empty folder, for what is in an archive.

    Raises:
        InputError: there is no DICOM file, or the archive cannot be used.
        AccessError: this user may not read it.
        MachineError: the machine cannot read it.
    """
    try:
        found = _read(path, scratch)
    except OSError as error:
        _refuse(path, error)
    if not found:
        what = "is no DICOM image" if path.is_file() and _suffix(path) != ZIP else "holds no DICOM"
        message = (
            f"{path.name or path} {what}; expected a NIfTI file, or a folder, file or zip archive "
            "of DICOM images"
        )
        raise InputError(message)
    return found


def _suffix(path: Path) -> str:
    return path.suffix.lower()


def _read(path: Path, scratch: Path) -> list[Instance]:
    if path.is_dir():
        return read_all(files_below(path))
    if _suffix(path) == ZIP:
        unpack(path, scratch)
        return read_all(files_below(scratch))
    if path.name.lower() == INDEX_NAME:
        return read_all(files_below(path.parent))
    own = read_instance(path)
    if own is None:
        return []
    beside = read_all(file for file in sorted(path.parent.iterdir()) if may_be_dicom(file))
    return [instance for instance in beside if instance.series_uid == own.series_uid]


def read_all(files: Iterable[Path]) -> list[Instance]:
    """Return what the headers of files say, those left out that are no DICOM.

    Raises:
        OSError: a file cannot be read.
    """
    return [instance for file in files if (instance := read_instance(file)) is not None]


def files_below(folder: Path) -> Iterator[Path]:
    """Give the files below a folder that may be DICOM, by their names, sorted; links are followed.

    Raises:
        OSError: a folder cannot be read.
    """

    def refuse(error: OSError) -> NoReturn:
        raise error

    seen: set[Path] = set()
    for parent, names, files in os.walk(folder, onerror=refuse, followlinks=True):
        here = Path(parent).resolve()
        names[:] = sorted(name for name in names if not name.startswith("."))
        if here in seen:
            names.clear()
            continue
        seen.add(here)
        yield from (file for name in sorted(files) if may_be_dicom(file := Path(parent) / name))


def may_be_dicom(file: Path) -> bool:
    """Whether a file may be DICOM by its name: hidden files and known others are not."""
    name = file.name.lower()
    is_named_otherwise = name.endswith((*SUFFIXES, *OTHER_SUFFIXES, ZIP, ".gz"))
    return not name.startswith(".") and not is_named_otherwise and file.is_file()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the DICOM files of a zip archive, under numbers instead of their names.

    Args:
        archive: The archive; archives within it stay packed.
        folder: Where the files go.

    Raises:
        InputError: it is damaged, encrypted, too large, or no archive.
        OSError: the machine cannot read or write.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [m for m in zipped.infolist() if not m.is_dir() and _is_wanted(m.filename)]
            _check_members(archive, members)
            room = min(MOST_BYTES, shutil.disk_usage(folder).free - SPARE_BYTES)
            for n, member in enumerate(members):
                with zipped.open(member) as source:
                    room -= _copy(source, folder / f"{n:06d}", room, archive)
    except DAMAGED as error:
        message = f"{archive.name} is no zip archive, or is damaged: copy or download it again"
        raise InputError(message) from error


def _is_wanted(name: str) -> bool:
    last = name.replace("\\", "/").rpartition("/")[2].lower()
    is_other = last.endswith((*SUFFIXES, *OTHER_SUFFIXES, ZIP, ".gz"))
    return not last.startswith(".") and "__macosx" not in name.lower() and not is_other


def _check_members(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive by what it says of itself."""
    if any(member.flag_bits & 1 for member in members):
        message = f"{archive.name} is encrypted: unpack it, and give the folder"
        raise InputError(message)
    declared, packed = sum(m.file_size for m in members), sum(m.compress_size for m in members)
    is_bomb = declared > RATIO_BYTES and declared > MOST_RATIO * max(packed, 1)
    if len(members) > MOST_FILES or declared > MOST_BYTES or is_bomb:
        raise _too_large(archive)


def _too_large(archive: Path) -> InputError:
    return InputError(
        f"{archive.name} unpacks to more than a study of one head, or than there is room for: "
        "unpack it, and give the folder of the series"
    )


def _copy(source: IO[bytes], target: Path, room: int, archive: Path) -> int:
    """Write one member if it is DICOM; return its size, whatever it says of that itself."""
    size = 0
    with target.open("wb") as file:
        while chunk := source.read(CHUNK_BYTES):
            size += len(chunk)
            if size > room:
                raise _too_large(archive)
            file.write(chunk)
    if not looks_like_dicom(target):
        target.unlink()
        return 0
    return size


def _refuse(path: Path, error: OSError) -> NoReturn:
    """Say what keeps the files of a place from being read; their names may tell a patient."""
    if isinstance(error, PermissionError):
        message = f"no permission to read all of {path}: make it readable for this user"
        raise AccessError(message) from error
    fault = machine_fault(error) or "it does not answer"
    message = f"{path} cannot be read now ({fault.partition(':')[0]}): check disk and network"
    raise MachineError(message) from error
