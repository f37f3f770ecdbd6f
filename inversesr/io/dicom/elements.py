"""Values of DICOM headers as plain text and numbers, whatever is wrong with them."""

import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pydicom.errors import BytesLengthException, InvalidDicomError

Vector = tuple[float, ...]
# What pydicom raises on a file that is damaged or something else.
UNREADABLE = (
    InvalidDicomError, BytesLengthException, struct.error, zlib.error, EOFError, ValueError,
    TypeError, KeyError, AttributeError, IndexError,
    NotImplementedError, RecursionError, OverflowError, UnicodeError, MemoryError,
)  # fmt: skip


def text(source: Any, keyword: str) -> str:  # noqa: ANN401
    """Return a value of a header as text without margins; empty where there is none."""
    values = texts(source, keyword)
    return values[0] if values else ""


def texts(source: Any, keyword: str) -> list[str]:  # noqa: ANN401
    """Return all values of an element as text."""
    value = None
    with suppress(*UNREADABLE):
        value = source.get(keyword)
    if value is None:
        return []
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return [str(v).strip(" \0") for v in (value if several else [value])]


def numbers(source: Any, keyword: str) -> Vector:  # noqa: ANN401
    """Return the values of an element as finite numbers; none where one of them is not."""
    try:
        found = tuple(float(value) for value in texts(source, keyword))
    except ValueError:
        return ()
    return found if all(abs(value) < 1e9 for value in found) else ()


def number(source: Any, keyword: str) -> float | None:  # noqa: ANN401
    """Return the first value of an element as a number, or None."""
    found = numbers(source, keyword)
    return found[0] if found else None
