"""What a denoiser is told beside the noisy latent: timestep, subject, class, voxel size."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inversesr.errors import InputError
from inversesr.priors.card import ConditioningCard, PriorCard


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of an image.

    Attributes:
        context: Conditioning variables as the network sees them, shape (n_variables,).
        label: Class of the image, or None where the network knows no classes.
        spacing_mm: Voxel size along each axis.
    """

    context: Tensor
    label: int | None
    spacing_mm: tuple[float, float, float]


def denoiser_inputs(
    conditioning: ConditioningCard, z_t: Tensor, t: int, known: Known, dtype: torch.dtype
) -> tuple[Tensor, dict[str, Any]]:
    """Return the input of a denoiser, with a batch of one, and its other arguments.

    Args:
        conditioning: How what is known enters.
        z_t: Noisy latent, shape (C, X, Y, Z).
        t: Timestep.
        known: What is known.
        dtype: Type in which the network computes.
    """
    seen, context = z_t.float()[None], known.context
    arguments: dict[str, Any] = {"timesteps": torch.tensor([t], device=z_t.device)}
    if conditioning.concatenated:
        maps = context.reshape(1, -1, 1, 1, 1).to(seen).expand(-1, -1, *seen.shape[2:])
        seen = torch.cat([seen, maps], dim=1)
    if conditioning.cross_attention:
        arguments["context"] = context.reshape(1, 1, -1).to(seen.device, dtype)
    if known.label is not None:
        arguments["class_labels"] = torch.tensor([known.label], device=z_t.device)
    if conditioning.spacing_factor is not None:
        told = [conditioning.spacing_factor * spacing for spacing in known.spacing_mm]
        arguments["spacing_tensor"] = torch.tensor([told], device=z_t.device, dtype=dtype)
    return seen.to(dtype), arguments


def read_conditions(said: Sequence[str]) -> dict[str, float]:
    """Return what was said of a subject, such as "age=63", by name.

    Raises:
        InputError: it is not a name and a number, or was said twice.
    """
    known: dict[str, float] = {}
    for text in said:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or name in known:
            message = f"--condition is {text!r}; expected NAME=NUMBER, each name once: age=63"
            raise InputError(message)
        known[name] = number
    return known


def scaled_variables(
    card: PriorCard, values: Mapping[str, float] | None, device: torch.device
) -> Tensor:
    """Scale conditioning variables to what the denoiser sees.

    Args:
        card: Content of `prior.json`.
        values: Known variables in their natural units; the others take their defaults.
        device: Where the result lies.

    Returns:
        Scaled variables in the order of `prior.json`, shape (n_variables,), float32.

    Raises:
        InputError: a variable is unknown or out of range.
    """
    variables = card.conditioning.variables
    given = dict(values or {})
    unknown = sorted(set(given) - {v.name for v in variables})
    if unknown:
        known = ", ".join(v.name for v in variables) or "none"
        message = f"prior {card.name!r} has no variable {unknown[0]!r}; it has {known}"
        raise InputError(message)
    scaled = []
    for v in variables:
        value = given.get(v.name, v.default)
        if not v.low <= value <= v.high:
            message = f"{v.name} is {value}; expected {v.low} to {v.high}"
            raise InputError(message)
        scaled.append((value - v.low) / (v.high - v.low))
    return torch.tensor(scaled, dtype=torch.float32, device=device)


def unconditional(card: PriorCard, context: Tensor, guidance: float) -> tuple[Tensor, int | None]:
    """Return variables and class that a network saw in training when it was to know nothing.

    Args:
        card: Content of `prior.json`.
        context: Conditioning variables as the network sees them.
        guidance: Weight that was asked for.

    Raises:
        InputError: the network was not trained so.
    """
    null, null_class = card.conditioning.null, card.conditioning.null_class
    if null is None and null_class is None:
        message = f"prior {card.name!r} was not trained for guidance; expected 1, found {guidance}"
        raise InputError(message)
    label = card.conditioning.class_label if null_class is None else null_class
    return (context if null is None else context.new_tensor(null)), label
