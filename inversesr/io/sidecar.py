"""The JSON files beside a scan that say how it was taken (BIDS sidecars)."""

import json
from pathlib import Path
from typing import Any

from inversesr.errors import InputError
from inversesr.io.checks import stem


def sidecar_of(path: Path) -> Path:
    """Return where the BIDS sidecar of an image would be."""
    return path.with_name(stem(path) + ".json")


def read_sidecar(path: Path) -> dict[str, Any]:
    """Read the BIDS sidecar of an image; empty where it has none.

    Args:
        path: Image file.

    Raises:
        InputError: the sidecar is not readable JSON, or no object.
    """
    sidecar = sidecar_of(path)
    if not sidecar.is_file():
        return {}
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{sidecar.name} is not readable JSON: mend it, or move it away"
        raise InputError(message) from error
    if not isinstance(content, dict):
        message = f"{sidecar.name} is no JSON object: expected one in curly braces"
        raise InputError(message)
    return content
