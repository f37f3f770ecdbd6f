"""JSON values as dataclasses: an error names the place that does not fit."""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from inversesr.errors import InputError


def read_value(kind: object, data: object, where: str) -> object:
    """Convert a JSON value to a type, naming the place where it does not fit.

    Args:
        kind: A scalar type, a dataclass, or a tuple, dict, Literal or optional of these.
        data: The decoded JSON value.
        where: Its place, for the error message.

    Raises:
        InputError: the value is of another type.
    """
    if is_dataclass(kind) and isinstance(kind, type):
        return _read_object(kind, data, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = next(a for a in arguments if a is not type(None))
        return None if data is None else read_value(inner, data, where)
    if origin is Literal and data in arguments:
        return data
    if origin is tuple and isinstance(data, list | tuple):
        many = arguments[-1] is Ellipsis
        if many or len(data) == len(arguments):
            return tuple(read_value(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(data))
    if origin is dict and isinstance(data, Mapping):
        return {str(k): read_value(arguments[1], v, f"{where}.{k}") for k, v in data.items()}
    accepts = _SCALARS.get(kind)
    if accepts is not None and accepts(data):
        return float(data) if kind is float else data  # type: ignore[arg-type]
    message = f"{where} is {data!r}; expected {_describe(kind)}"
    raise InputError(message)


_SCALARS: dict[object, Callable[[object], bool]] = {
    Any: lambda _: True,
    str: lambda v: isinstance(v, str),
    bool: lambda v: isinstance(v, bool),
    int: lambda v: isinstance(v, int) and not isinstance(v, bool),
    float: lambda v: isinstance(v, int | float) and not isinstance(v, bool),
}


def _read_object(kind: type[Any], data: object, where: str) -> object:
    """Convert a JSON object to a dataclass: no field missing, none unknown."""
    if not isinstance(data, Mapping):
        message = f"{where} is {data!r}; expected an object"
        raise InputError(message)
    hints = get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}
    unknown = sorted(set(data) - set(known))
    if unknown:
        message = f"{where} has an unknown field {unknown[0]!r}; expected {', '.join(known)}"
        raise InputError(message)
    for name, f in known.items():
        required = f.default is MISSING and f.default_factory is MISSING
        if required and name not in data:
            message = f"{where} lacks the field {name!r}: add it"
            raise InputError(message)
    values = {name: read_value(hints[name], v, f"{where}.{name}") for name, v in data.items()}
    return kind(**values)


def _describe(kind: object) -> str:
    """Name a type for an error message."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(map(repr, arguments))
    if origin is tuple:
        count = "" if arguments[-1] is Ellipsis else f"{len(arguments)} "
        return f"a list of {count}values"
    names: dict[object, str] = {
        str: "a text",
        bool: "true or false",
        int: "a whole number",
        float: "a number",
    }
    return names.get(kind, "an object")
