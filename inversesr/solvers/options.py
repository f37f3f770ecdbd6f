"""Every choice within a solver that has a prior: name, default and help text. Imports no torch."""

import types
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from math import isfinite
from typing import Any, get_args, get_type_hints

from inversesr.config import option
from inversesr.errors import InputError

PREFIX = "solver."
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class SolverOptions:
    """How a solver with a prior works; `--set solver.NAME=VALUE` reaches every field.

    Raises:
        InputError: a value is outside its range.
    """

    backend: str = option(
        "lean",
        "Gradients: lean keeps least memory, stock is plain autograd (same result).",
        choices=("lean", "stock"),
    )
    data_term: str = option("l1", "inversesr-*: penalty of the misfit.", choices=("l1", "l2"))
    perceptual_weight: float | None = option(
        None, "Weight of the feature term [default: the solver's own]."
    )
    features_file: str | None = option(
        None, "Weights of VGG-16 or MedicalNet for the feature term [default: prior's encoder]."
    )
    n_steps: int | None = option(None, "Iterations [default: the solver's own].", least=1)
    learning_rate: float | None = option(
        None, "Step of Adam [default: the solver's own].", above=0
    )
    n_levels: int | None = option(
        None,
        "Noise levels, from sigma_high to sigma_low [default: 8; 4 from a warm start].",
        least=1,
    )
    sigma_high: float | None = option(
        None, "Largest noise-to-signal ratio [default: 8; 1 from a warm start].", above=0
    )
    sigma_low: float = option(0.1, "Smallest noise-to-signal ratio.", above=0)
    warm_sd: float = option(
        0.03, "latent-pnp, latent-map: deviation of the warm start's error, 0 to 1.", above=0
    )
    prior_sigma: float = option(
        0.5, "latent-map: noise-to-signal ratio at which the prior is asked.", above=0
    )
    n_denoiser_steps: int = option(4, "Denoiser calls from a noise level to clean.", least=1)
    n_start_samples: int = option(4, "inversesr-dec: samples whose mean is the start.", least=1)
    kappa: float = option(1.0, "How far an image may move from the prior's, by noise.", above=0)
    image_sd: float = option(0.15, "Standard deviation of a brain's intensities.", above=0)
    rho: float = option(1.0, "Share of the data's correction that a latent takes.", above=0)
    prior_weight: float = option(1.0, "latent-map, few-step-noise: weight of the prior.", least=0)
    noise_term: str = option(
        "shell", "few-step-noise: prior of the noise.", choices=("shell", "gaussian")
    )
    antithetic: bool = option(True, "latent-pnp: use noise of both signs.")  # noqa: FBT003
    fit_gain: bool = option(True, "Fit the prior's gain and offset to the scan.")  # noqa: FBT003
    delta: bool = option(True, "Add to the start only what the prior changed.")  # noqa: FBT003
    blind: bool = option(False, "latent-map: fit slice width and bias field.")  # noqa: FBT003
    surprise: bool = option(
        True,  # noqa: FBT003
        "Trust the data where the prior's best fit misses it by far.",
    )
    stop_at_noise: bool = option(True, "latent-map: stop when the misfit is noise.")  # noqa: FBT003
    adapt_steps: int = option(
        60, "warmstart: training steps on the scan itself; 0 for none.", least=0
    )
    expected_error: bool = option(
        True,  # noqa: FBT003
        "warmstart: estimate the error of every voxel too.",
    )
    n_mirrors: int = option(
        2, "warmstart: mirror images whose results are averaged, 1 to 8.", least=1, most=8
    )
    n_samples: int = option(8, "split-gibbs: samples drawn from the posterior.", least=1)
    encoder_noise_gain: float = option(
        0.0, "split-gibbs: latent noise made by white image noise of deviation 1.", least=0
    )

    def __post_init__(self) -> None:
        for f in fields(self):
            _check(f.name, getattr(self, f.name), f.metadata)


def with_settings(options: SolverOptions, settings: Sequence[str]) -> SolverOptions:
    """Return options changed by settings of the form "solver.NAME=VALUE".

    Raises:
        InputError: a setting has another form, an unknown name or an impossible value.
    """
    kinds = get_type_hints(SolverOptions)
    changes: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.removeprefix(PREFIX).partition("=")
        if not equals or not setting.startswith(PREFIX) or name not in kinds:
            nearest = get_close_matches(name, kinds, 1, 0.7)
            hint = f": did you mean {PREFIX}{nearest[0]}" if nearest else ""
            message = (
                f"--set has {setting!r}; expected {PREFIX}NAME=VALUE with a NAME of "
                f"docs/reference/commands.md{hint}"
            )
            raise InputError(message)
        changes[name] = _parse(name, text, kinds[name])
    return replace(options, **changes)


def _parse(name: str, text: str, kind: Any) -> Any:  # noqa: ANN401  (the type of a field)
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


def _check(name: str, value: object, facts: Any) -> None:  # noqa: ANN401  (a field's metadata)
    """Refuse a value outside its choices or its range."""
    expected = ""
    if "choices" in facts and value not in facts["choices"]:
        expected = " or ".join(facts["choices"])
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if not isfinite(value):
            expected = "a finite number"
        elif value < facts.get("least", value):
            expected = f"a number of at least {facts['least']}"
        elif value > facts.get("most", value):
            expected = f"a number of at most {facts['most']}"
        elif "above" in facts and value <= facts["above"]:
            expected = f"a number above {facts['above']}"
    if expected:
        message = f"{PREFIX}{name} is {value}; expected {expected}"
        raise InputError(message)
