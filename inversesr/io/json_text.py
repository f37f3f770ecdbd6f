"""JSON as others can read it: numbers that JSON does not know become null."""

import json
from math import isfinite
from typing import Any


def json_text(value: Any, indent: int | None = None) -> str:  # noqa: ANN401 (any JSON value)
    """Return plain data as JSON; NaN and infinities, which are no JSON, become null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not isfinite(value) else value
