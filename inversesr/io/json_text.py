"""JSON as others can read it, and JSON as others wrote it.

What is written is strict: numbers that JSON does not know become null. What is read may have the
small faults that programs and people leave in such files; what was mended is told.
"""

import json
import re
from math import isfinite
from typing import Any

# A text in quotes of either kind; else what is no JSON, by its kind.
LOOSE = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*")|'(?P<quoted>(?:\\.|[^'\\])*)'"""
    r"""|(?P<comment>//[^\n]*|/\*.*?\*/|\#[^\n]*)|(?P<word>[+-]?\b[A-Za-z]+\b)""",
    re.DOTALL,
)
TRAILING_COMMA = re.compile(r"""("(?:\\.|[^"\\])*")|,(?=\s*[}\]])""", re.DOTALL)
WORDS = {
    "nan": "NaN", "inf": "Infinity", "infinity": "Infinity", "none": "null", "undefined": "null",
    "null": "null", "true": "true", "false": "false",
}  # fmt: skip


def json_text(value: Any, indent: int | None = None) -> str:  # noqa: ANN401 (any JSON value)
    """Return plain data as JSON; NaN and infinities, which are no JSON, become null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def parse_json(blob: bytes) -> tuple[Any, tuple[str, ...]]:
    """Read JSON that may be in another encoding, or not quite JSON.

    Accepted are letters that are no UTF-8, NaN and infinities in any spelling (null), commas
    before a closing bracket, comments, single quotes, True, False and None.

    Args:
        blob: Content of a file.

    Returns:
        The value, and what is wrong with the file, in sentences that go on from its name.

    Raises:
        ValueError: it is no JSON all the same.
        RecursionError: it is nested too deeply.
    """
    remarks: list[str] = []
    encoding = json.detect_encoding(blob)
    try:
        text = blob.decode(encoding)
    except UnicodeDecodeError:
        text = blob.decode(encoding, errors="replace")
        remarks.append("is not in UTF-8: letters that cannot be read are replaced")
    found: list[str] = []

    def unknown(constant: str) -> None:
        found.append(constant)

    try:
        value = json.loads(text, parse_constant=unknown)
    except ValueError:
        value = json.loads(_mended(text), parse_constant=unknown, strict=False)
        remarks.append("is not quite JSON, as after a comma too many: it is read all the same")
    if found:
        remarks.append(f"holds {found[0]}, which is no number: it is read as not stated")
    return value, tuple(remarks)


def _mended(text: str) -> str:
    """Return text without what JSON does not know."""

    def mend(match: re.Match[str]) -> str:
        if match["text"] is not None:
            return match["text"]
        if match["quoted"] is not None:
            return json.dumps(match["quoted"])
        if match["comment"] is not None:
            return " "
        sign = match["word"][0] if match["word"][0] == "-" else ""
        known = WORDS.get(match["word"].lstrip("+-").lower())
        return match["word"] if known is None else sign * (known == "Infinity") + known

    return TRAILING_COMMA.sub(lambda match: match[1] or "", LOOSE.sub(mend, text))


def _finite(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not isfinite(value) else value
