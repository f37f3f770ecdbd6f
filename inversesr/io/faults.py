"""Telling what is wrong with a file from what the machine fails at while it reads it."""

import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError
from nibabel.spatialimages import HeaderDataError

from inversesr.errors import InputError, MachineError, is_out_of_memory, machine_fault

# What nibabel, gzip and numpy raise on files that are cut off, empty or something else.
UNREADABLE = (
    ImageFileError, HeaderDataError, MGHError, EOFError, OSError, ValueError, TypeError, KeyError,
    IndexError, OverflowError, AttributeError, struct.error, zlib.error, MemoryError,
)  # fmt: skip


def refuse(label: str, error: BaseException, fault: str) -> NoReturn:
    """Raise what tells the true cause of a failure to read.

    Args:
        label: Name of the file.
        error: What was raised.
        fault: What is wrong with the file where the machine is not to blame.

    Raises:
        MachineError: the machine is to blame.
        InputError: the file is.
    """
    refuse_machine(label, error)
    message = f"{label} {fault}"
    raise InputError(message) from error


def refuse_machine(label: str, error: BaseException) -> None:
    """Raise what tells that the machine is to blame for a failure to read, if it is.

    Libraries raise errors of their own over those of the system: their causes count too.

    Args:
        label: Name of the file.
        error: What was raised.

    Raises:
        MachineError: the machine is to blame.
        InputError: a file that belongs to it is not there.
    """
    cause: BaseException | None = error
    while cause is not None:
        if is_out_of_memory(cause):
            raise cause
        if isinstance(cause, FileNotFoundError) and cause.filename:
            message = (
                f"{label} needs {cause.filename}, which does not exist: put both in one folder"
            )
            raise InputError(message) from error
        if fault := machine_fault(cause):
            message = f"{label} cannot be read now ({fault}): check disk, network and permissions"
            raise MachineError(message) from error
        cause = cause.__cause__ or cause.__context__


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
