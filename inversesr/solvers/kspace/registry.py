"""Which methods of reconstruction there are: one line each. Imports no torch."""

from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast, get_type_hints

from inversesr.errors import InputError

if TYPE_CHECKING:
    from inversesr.solvers.kspace.protocol import Entry, Method

# name -> its file
METHODS = {
    "zero-filling": "inversesr.solvers.kspace.zero_filling",
    "cg-sense": "inversesr.solvers.kspace.cg_sense",
    "l1-wavelet": "inversesr.solvers.kspace.l1_wavelet",
    "diffusion": "inversesr.solvers.kspace.diffusion",
}
DEFAULT = "diffusion"
PREFIX = "solver."


def method_of(name: str) -> "Entry":
    """Return what a method says of itself.

    Raises:
        InputError: there is none of this name.
    """
    if name not in METHODS:
        message = f"solver is {name!r}; expected one of {', '.join(METHODS)}"
        raise InputError(message)
    return cast("Method", import_module(METHODS[name])).METHOD


def options_of(name: str, settings: tuple[str, ...]) -> Any:  # noqa: ANN401 (any options class)
    """Return the options of a method, changed by settings.

    Args:
        name: Name of the method.
        settings: Texts of the form "solver.NAME=VALUE".

    Raises:
        InputError: a setting has another form, the method does not have it, or its value is
            impossible.
    """
    from inversesr.solvers.options import parse_value

    kind = method_of(name).options
    hints, known = get_type_hints(kind), [f.name for f in fields(kind)]
    changes = {}
    for setting in settings:
        key, equals, text = setting.removeprefix(PREFIX).partition("=")
        if not equals or not setting.startswith(PREFIX) or key not in known:
            message = (
                f"--set has {setting!r}; expected {PREFIX}NAME=VALUE, for {name} with a NAME of "
                f"{', '.join(known) or 'no option'}"
            )
            raise InputError(message)
        changes[key] = parse_value(key, text, hints[key])
    return kind(**changes)
