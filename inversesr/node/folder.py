"""The folder of a queue: where its files are, and that one node alone works with it.

queue.sqlite, lock, health.json, and the folders `incoming` (half-received), `instances`
(one folder a series), `results` (one folder a work) and `scratch`.
"""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inversesr.errors import InputError

LOCK, INCOMING, INSTANCES, RESULTS, SCRATCH = "lock", "incoming", "instances", "results", "scratch"
# Who looks whether a node runs holds the lock for a moment.
PATIENCE_S, STEP_S = 1.0, 0.05
PROBE_BYTES = 1 << 16


def prepare_folder(folder: Path) -> None:
    """Make the folders of a queue, which only this user can read.

    Raises:
        InputError: they cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in (INCOMING, INSTANCES, RESULTS, SCRATCH):
            (folder / name).mkdir(exist_ok=True, mode=0o700)
        probe = folder / INCOMING / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        message = (
            f"the queue {folder} cannot be written to ({error.strerror or error}): give a folder "
            "that you own with --queue"
        )
        raise InputError(message) from error


@contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Hold the lock of a queue, which ends with this process however it ends.

    Raises:
        InputError: another node holds it.
    """
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not _is_taken_now(lock, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                other = os.read(lock, 20).decode("ascii", "replace").strip()
                message = (
                    f"the queue {folder} is in use by another node (process {other or 'unknown'}):"
                    " stop that one, or give another --queue"
                )
                raise InputError(message)
            time.sleep(STEP_S)
        os.truncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)


def is_in_use(folder: Path) -> bool:
    """Whether a node works with a queue now."""
    try:
        lock = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _is_taken_now(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)


def _is_taken_now(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Make names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(folder: Path) -> None:
    """Make all files below a folder survive a loss of power."""
    for parent, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(Path(parent) / name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(parent))


def can_write(folder: Path) -> bool:
    """Whether a small file can be written into a folder now."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(PROBE_BYTES))
        return True
    except OSError:
        return False


def write_whole(file: Path, content: bytes) -> None:
    """Write a file that is there wholly or not at all.

    Raises:
        OSError: the disk is full, or cannot be written to.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
        sync_folder(file.parent)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise
