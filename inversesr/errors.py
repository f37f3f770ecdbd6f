"""Errors that a user can act on; anything else that is raised is a bug."""

import errno
import re
import warnings

OUT_OF_MEMORY = "out of memory: give a coarser --spacing, or use a machine with more of it"
OUT_OF_THREADS = "the system allows no further thread: give fewer --threads, or run less at once"
# What the system answers to a place in a file that cannot be, whatever the machine.
FAULTS_OF_ARGUMENTS = (errno.EINVAL, errno.EOVERFLOW, errno.EFBIG)
NO_MEMORY = re.compile("(allocate|out of|enough) memory|failed to map segment", re.IGNORECASE)
NO_THREADS = re.compile("start new thread|thread creation failed", re.IGNORECASE)


class InverseSRError(Exception):
    """A failure while working: one sentence with what was found, expected and to be done."""


class InputError(InverseSRError):
    """Unusable input or wrong usage, found before any work was done (exit status 2)."""


class OldNameWarning(FutureWarning):
    """A name of an earlier version was used."""


def warn_of_old_name(old: str, now: str) -> None:
    """Warn that something has another name since this version.

    Args:
        old: The earlier name, with what it names.
        now: The present one.
    """
    message = f"{old} is now {now}; the old name will not be known in the next version"
    warnings.warn(message, OldNameWarning, stacklevel=3)


class AccessError(InputError):
    """A file or folder that this user may not use, found before any work was done.

    Nothing is wrong with the scan: in a batch it counts as failed, not as unusable.
    """


class MachineError(InverseSRError):
    """A fault of the machine, such as a failing disk: trying again may help (exit status 1)."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was too little memory: torch has no error of its own for it on processors."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    is_told_in_words = isinstance(error, RuntimeError | ImportError | OSError)
    return is_told_in_words and bool(NO_MEMORY.search(str(error)))


def machine_fault(error: BaseException) -> str:
    """Return what failed on this machine, in a sentence; empty where the cause is another.

    Args:
        error: Anything that was raised.
    """
    if is_out_of_memory(error):
        return OUT_OF_MEMORY
    if isinstance(error, RuntimeError | OSError) and NO_THREADS.search(str(error)):
        return OUT_OF_THREADS
    # a fault that the system reports has a number; what gzip or nibabel find in a file has none
    if isinstance(error, OSError) and error.errno not in (None, *FAULTS_OF_ARGUMENTS):
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{where}"
    return ""
