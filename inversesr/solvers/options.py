"""Options of solvers: how a class declares them, and how `--set solver.NAME=VALUE` reaches them.

Each solver has a frozen dataclass in its own file. Its fields are made by `option`, or by the
functions below where several solvers share an option. Imports no torch; what asks for a solver's
options imports its file.
"""

import types
from collections.abc import Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, get_args, get_type_hints

from inversesr.config import check_fields, option
from inversesr.errors import InputError
from inversesr.solvers.entry import SolverEntry
from inversesr.solvers.registry import entries

PREFIX = "solver."
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def backend() -> Any:  # noqa: ANN401 (a dataclass field, here and below)
    """Declare how gradients are taken."""
    text = "Gradients: lean keeps least memory, stock is plain autograd (same result)."
    return option("lean", text, choices=("lean", "stock"))


def n_steps(default: int) -> Any:  # noqa: ANN401
    """Declare the number of iterations."""
    return option(default, "Iterations.", least=1)


def learning_rate(default: float) -> Any:  # noqa: ANN401
    """Declare the step of Adam."""
    return option(default, "Step of Adam.", above=0)


def n_levels() -> Any:  # noqa: ANN401
    """Declare the number of noise levels."""
    text = "Noise levels, from sigma_high to sigma_low [default: 8; 4 from the U-Net's image]."
    return option(None, text, least=1)


def sigma_high() -> Any:  # noqa: ANN401
    """Declare the largest noise level."""
    text = "Largest noise-to-signal ratio [default: 8; 1 from the U-Net's image]."
    return option(None, text, above=0)


def sigma_low() -> Any:  # noqa: ANN401
    """Declare the smallest noise level."""
    return option(0.1, "Smallest noise-to-signal ratio.", above=0)


def n_denoiser_steps() -> Any:  # noqa: ANN401
    """Declare the length of a chain."""
    return option(4, "Denoiser calls from a noise level to clean.", least=1)


def kappa() -> Any:  # noqa: ANN401
    """Declare how closely an image follows the prior's."""
    return option(1.0, "How far an image may move from the prior's, by noise.", above=0)


def image_sd() -> Any:  # noqa: ANN401
    """Declare how much intensities of brains vary."""
    return option(0.15, "Standard deviation of a brain's intensities.", above=0)


def warm_sd() -> Any:  # noqa: ANN401
    """Declare the error of the first guess."""
    return option(0.03, "Standard deviation of the first guess's error, 0 to 1.", above=0)


def fit_gain() -> Any:  # noqa: ANN401
    """Declare whether intensities are fitted."""
    return option(True, "Fit the prior's gain and offset to the scan.")  # noqa: FBT003


def delta() -> Any:  # noqa: ANN401
    """Declare whether the autoencoder's error is cancelled."""
    return option(True, "Add to the start only what the prior changed.")  # noqa: FBT003


def surprise() -> Any:  # noqa: ANN401
    """Declare whether tissue that the prior cannot explain is kept from it."""
    return option(True, "Trust the data where the prior's best fit misses it by far.")  # noqa: FBT003


def prior_weight() -> Any:  # noqa: ANN401
    """Declare the weight of the prior's own term."""
    return option(1.0, "Weight of the prior.", least=0)


def data_term() -> Any:  # noqa: ANN401
    """Declare the published penalty."""
    return option("l1", "Penalty of the misfit.", choices=("l1", "l2"))


def perceptual_weight(default: float) -> Any:  # noqa: ANN401
    """Declare the weight of the feature term."""
    return option(default, "Weight of the feature term.", least=0)


def features_file() -> Any:  # noqa: ANN401
    """Declare the network of the feature term."""
    text = "Weights of VGG-16 or MedicalNet for the feature term [default: prior's encoder]."
    return option(None, text)


def adapt_steps() -> Any:  # noqa: ANN401
    """Declare the fine-tuning of the U-Net."""
    return option(60, "Fine-tuning steps of the U-Net on the scan itself; 0 for none.", least=0)


def n_mirrors() -> Any:  # noqa: ANN401
    """Declare the flips of the U-Net's input."""
    text = "Flipped images whose results by the U-Net are averaged, 1 to 8."
    return option(2, text, least=1, most=8)


def expected_error() -> Any:  # noqa: ANN401
    """Declare the estimate of the error."""
    return option(True, "Estimate the error of every voxel too.")  # noqa: FBT003


def check(options: Any) -> None:  # noqa: ANN401 (any options class)
    """Refuse options outside their range; every options class calls this when it is made.

    Raises:
        InputError: a value is outside its range.
    """
    check_fields(options, PREFIX)


def name_of(options: object) -> str:
    """Return the name of the solver that an options object belongs to.

    Raises:
        InputError: it belongs to none.
    """
    for entry in entries():
        if type(options) is entry.options:
            return entry.name
    message = f"solver is a {type(options).__name__}; expected a name or an options class"
    raise InputError(message)


def settings_of(options: Any) -> tuple[str, ...]:  # noqa: ANN401 (any options class)
    """Return the settings that make options of their default: what `options_of` reads back."""
    changed = {f.name: getattr(options, f.name) for f in fields(options)}
    return tuple(
        f"{PREFIX}{f.name}={changed[f.name]}"
        for f in fields(options)
        if changed[f.name] != f.default
    )


def options_of(entry: SolverEntry, settings: Sequence[str]) -> Any:  # noqa: ANN401
    """Return the options of a solver, changed by those settings that are its own.

    Args:
        entry: The solver.
        settings: Texts of the form "solver.NAME=VALUE".

    Raises:
        InputError: a setting has another form, no solver knows it, or its value is impossible.
    """
    kinds = get_type_hints(entry.options)
    changes = {
        name: parse_value(name, text, kinds[name])
        for name, text in _split(settings)
        if name in kinds
    }
    return entry.options(**changes)


def without_effect(entry: SolverEntry, settings: Sequence[str]) -> tuple[str, ...]:
    """Return the names of those settings that a solver does not have."""
    own = {f.name for f in fields(entry.options)}
    return tuple(name for name, _ in _split(settings) if name not in own)


def check_settings(settings: Sequence[str]) -> None:
    """Refuse settings that no solver has, and values that those which have them refuse.

    Raises:
        InputError: there is such a setting.
    """
    for entry in entries() if settings else ():
        options_of(entry, settings)


def _split(settings: Sequence[str]) -> list[tuple[str, str]]:
    """Return names and values of settings, once each name is known."""
    if not settings:
        return []
    known = {f.name for entry in entries() for f in fields(entry.options)}
    found = []
    for setting in settings:
        name, equals, text = setting.removeprefix(PREFIX).partition("=")
        if not equals or not setting.startswith(PREFIX) or name not in known:
            nearest = get_close_matches(name, known, 1, 0.7)
            hint = f": did you mean {PREFIX}{nearest[0]}" if nearest else ""
            message = (
                f"--set has {setting!r}; expected {PREFIX}NAME=VALUE with a NAME of "
                f"docs/reference/commands.md{hint}"
            )
            raise InputError(message)
        found.append((name, text))
    return found


def parse_value(name: str, text: str, kind: Any) -> Any:  # noqa: ANN401  (the type of a field)
    """Read a value of a field's type."""
    is_optional = isinstance(kind, types.UnionType)
    if is_optional and text.lower() == "none":
        return None
    plain = next(k for k in get_args(kind) if k is not types.NoneType) if is_optional else kind
    try:
        return _TRUTH[text.lower()] if plain is bool else plain(text)
    except (KeyError, ValueError) as error:
        expected = {bool: "true or false", int: "a whole number"}.get(plain, "a number")
        message = f"{PREFIX}{name} is {text!r}; expected {expected}"
        raise InputError(message) from error
