"""Files that are there wholly or not at all, whatever happens while they are written.

They are written under temporary names in a folder of their own and renamed at the end.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import time

from inversesr.errors import InputError
from inversesr.io.checks import LONGEST_NAME, SUFFIXES

# Formats of images that are written, and some that are neither written nor read.
WRITTEN = (".nii.gz", ".nii")
OTHER_IMAGES = (".dcm", ".mnc", ".gipl", ".nii.bz2", ".nii.zip")
PARTIAL_PREFIX = ".inversesr-partial-"
# A folder has this name until the run that made it holds its lock, which takes no time at all.
UNLOCKED_PREFIX = ".inversesr-unlocked-"
UNLOCKED_SECONDS = 60.0


def check_picture(file: Path) -> None:
    """Make sure that a picture can be written, before any work is done; one there is replaced.

    Raises:
        InputError: it is no PNG by its name, or its folder does not exist or cannot be written to.
    """
    if file.suffix.lower() != ".png" or not file.absolute().parent.is_dir():
        message = f"{file} cannot be written; expected a name ending in .png in an existing folder"
        raise InputError(message)
    check_output([file], force=True)


def check_output(files: Sequence[Path], *, force: bool) -> None:
    """Make sure that files can be written, before any work is done.

    Raises:
        InputError: a file exists and force is off, its name is too long, or its folder cannot be
            written to.
    """
    for file in files:
        n_bytes = len(os.fsencode(file.name))
        if n_bytes > LONGEST_NAME:
            message = (
                f"{file.name[:40]}... would have a name of {n_bytes} bytes; expected at most "
                f"{LONGEST_NAME}: give the scan a shorter name"
            )
            raise InputError(message)
        if file.is_dir():
            message = f"{file} is a folder where a file is to be written: remove it"
            raise InputError(message)
        if file.exists() and not force:
            message = f"{file} exists already: give --force to replace it, or another folder"
            raise InputError(message)
    nearest = files[0].parent
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        message = f"{nearest} is a file, not a folder: give another output folder"
        raise InputError(message)
    if not os.access(nearest, os.W_OK | os.X_OK) or _is_read_only(nearest):
        message = f"cannot write into {nearest}: give a folder that you own with -o"
        raise InputError(message)


def is_image_name(place: Path) -> bool:
    """Whether results are to go into an image of this name; else the place is a folder.

    Raises:
        InputError: it is the name of an image in another format than NIfTI.
    """
    name = place.name.lower()
    if place.is_dir() or not name.endswith((*SUFFIXES, *OTHER_IMAGES)):
        return False
    if not name.endswith(WRITTEN):
        message = (
            f"{place} is the name of an image in a format that is not written: end it in "
            f"{' or '.join(WRITTEN)}, or give a folder"
        )
        raise InputError(message)
    return True


def check_folder_name(folder: Path) -> None:
    """Refuse the name of an image where several results go.

    Raises:
        InputError: it is one.
    """
    if is_image_name(folder):
        message = f"{folder} is the name of one image; expected a folder for all results"
        raise InputError(message)


@contextmanager
def atomic_folder(folder: Path, last: str) -> Iterator[Path]:
    """Give a temporary folder whose files are moved into place if nothing goes wrong.

    Each file is moved by one rename. What a killed run left behind is cleared away by a later one.

    Args:
        folder: Where the files go; made if need be.
        last: Name of the file that is moved when all others are in place.
    """
    made = _make(folder)
    clear_partial(folder)
    partial, lock = _locked_folder(folder)
    try:
        yield partial
        for file in sorted(partial.iterdir(), key=lambda file: file.name == last):
            _move(file, folder / file.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        os.close(lock)
        for new in made:
            # what was made for files that never came; a folder with anything in it stays
            with suppress(OSError):
                new.rmdir()


def _move(file: Path, target: Path) -> None:
    """Move a file or folder into place; a folder that is there makes way first."""
    if file.is_dir() and target.is_dir():
        target.replace(file.with_name(f"{file.name}.former"))
    file.replace(target)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder for files of a run that nobody keeps; only this user can read it.

    It is removed at the end. What a killed run left behind is cleared away by a later one.
    """
    parent = Path(tempfile.gettempdir())
    clear_partial(parent)
    scratch, lock = _locked_folder(parent)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(lock)


def _make(folder: Path) -> list[Path]:
    """Make a folder and those above it; return those that were not there, the deepest first."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _locked_folder(parent: Path) -> tuple[Path, int]:
    """Make a temporary folder and take its lock; return both."""
    unlocked = Path(tempfile.mkdtemp(prefix=UNLOCKED_PREFIX, dir=parent))
    lock = os.open(unlocked, os.O_RDONLY)
    _is_locked_now(lock)
    partial = unlocked.with_name(unlocked.name.replace(UNLOCKED_PREFIX, PARTIAL_PREFIX))
    unlocked.rename(partial)
    return partial, lock


@contextmanager
def only_one(folder: Path, doing: str) -> Iterator[None]:
    """Refuse to go on while another process has done so for the same folder and has not ended.

    On a disk without locks nothing is refused.

    Args:
        folder: The folder; it exists.
        doing: What the other one is, in words.

    Raises:
        InputError: there is another.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{doing} writes into {folder} now: wait for its end, or give another folder"
            raise InputError(message) from error
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)


def clear_partial(folder: Path) -> None:
    """Remove partial folders whose makers are dead: a lock ends with the process that holds it."""
    for left in folder.glob(f"{UNLOCKED_PREFIX}*"):
        with suppress(OSError):
            if time() - left.stat().st_mtime > UNLOCKED_SECONDS:
                left.rmdir()
    for left in folder.glob(f"{PARTIAL_PREFIX}*"):
        with suppress(OSError):
            lock = os.open(left, os.O_RDONLY)
            if _is_locked_now(lock):
                shutil.rmtree(left, ignore_errors=True)
            os.close(lock)


def _is_locked_now(descriptor: int) -> bool:
    """Take the lock of an open folder; False where another process holds it or none exist."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_read_only(folder: Path) -> bool:
    """Whether a file cannot be made here: permissions alone do not tell for root."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return False
    except OSError:
        return True
