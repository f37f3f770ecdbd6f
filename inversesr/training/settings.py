"""Reads the file with which a user changes what a training stage would do by default.

It is JSON or TOML; its keys are the fields of the stage's frozen configuration, nested as they
are. What it does not name keeps its default.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

import torch

from inversesr.errors import InputError
from inversesr.priors.typed_json import read_value

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ConfigT = TypeVar("ConfigT")


def read_settings(path: Path) -> dict[str, Any]:
    """Read a JSON or TOML file.

    Raises:
        InputError: the file is missing, is neither, or holds no table of names.
    """
    if not path.is_file():
        message = f"{path} is missing; expected a JSON or TOML file with settings"
        raise InputError(message)
    text = path.read_text(encoding="utf-8")
    try:
        settings = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except ValueError as error:
        kind = "TOML" if path.suffix == ".toml" else "JSON"
        message = f"{path} is not {kind} ({error}); correct it, or name it .toml or .json"
        raise InputError(message) from error
    if not isinstance(settings, dict):
        message = f"{path} holds {type(settings).__name__}; expected names with values"
        raise InputError(message)
    return settings


def configure(default: ConfigT, settings: Mapping[str, Any], where: str) -> ConfigT:
    """Return a configuration in which some fields are changed.

    Args:
        default: A frozen dataclass; its fields may be such dataclasses themselves.
        settings: New values by the name of their field, nested likewise.
        where: What is being configured, for the error message.

    Raises:
        InputError: a name is unknown or a value does not fit.
    """
    hints = get_type_hints(type(default))
    known = [f.name for f in fields(cast("Any", default))]
    changed = {}
    for name, value in settings.items():
        if name not in known:
            message = f"{where} has no setting {name!r}; expected one of {', '.join(known)}"
            raise InputError(message)
        changed[name] = _changed(getattr(default, name), hints[name], value, f"{where}.{name}")
    try:
        return cast("ConfigT", replace(cast("Any", default), **changed))
    except ValueError as error:
        message = f"{where} cannot be so: {error}"
        raise InputError(message) from error


def _changed(current: object, hint: object, value: object, where: str) -> object:
    """Return the new value of a field."""
    if is_dataclass(current) and isinstance(value, Mapping):
        return configure(current, value, where)
    if hint is torch.dtype:
        if not isinstance(value, str) or value not in DTYPES:
            message = f"{where} is {value!r}; expected one of {', '.join(DTYPES)}"
            raise InputError(message)
        return DTYPES[value]
    return read_value(hint, value, where)
