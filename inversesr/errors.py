"""Errors that a user can act on; anything else that is raised is a bug."""

import re

OUT_OF_MEMORY = "out of memory: give a coarser --spacing"


class InverseSRError(Exception):
    """A failure while working: one sentence with what was found, expected and to be done."""


class InputError(InverseSRError):
    """Unusable input or wrong usage, found before any work was done (exit status 2)."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was too little memory: torch has no error of its own for it on processors."""
    words = re.search("(allocate|out of|enough) memory", str(error), re.IGNORECASE)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(words))
