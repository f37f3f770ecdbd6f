"""Latent diffusion priors out of their folders."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from inversesr.errors import InputError
from inversesr.priors.card import PriorCard, grid_of, read_card
from inversesr.priors.latent_diffusion import LatentDiffusionPrior
from inversesr.priors.networks.build import (
    boundary_layers,
    check_listed,
    fast_dtype,
    hold_in,
    load_network,
)
from inversesr.priors.schedule import make_schedule
from inversesr.priors.store import find_prior
from inversesr.priors.tensors import load_tensors


def load_prior(
    name_or_folder: str | Path,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
    shape: tuple[int, int, int] | None = None,
) -> LatentDiffusionPrior:
    """Load a prior, after checking size and hash of every file.

    Args:
        name_or_folder: Name of an installed prior, or its folder.
        device: Where to compute; None is the CPU.
        dtype: Type in which to hold the weights; None takes bfloat16 where the processor has
            units for it, else float32.
        shape: Image shape of a free prior; None takes the smallest possible.

    Returns:
        The prior.

    Raises:
        InputError: a file is missing, damaged, or not what `prior.json` says.
    """
    folder = find_prior(name_or_folder)
    card = read_card(folder)
    check_listed(folder, card, [network.file for network in card.networks.values()])
    device = device or torch.device("cpu")
    tensors: dict[str, dict[str, Tensor]] = {
        role: {k: t.to(device) for k, t in load_tensors(folder / card.networks[role].file).items()}
        for role in ("autoencoder", "denoiser")
        if role in card.networks
    }
    return assemble_prior(card, tensors, dtype or fast_dtype(device), shape)


def assemble_prior(
    card: PriorCard,
    tensors: Mapping[str, Mapping[str, Tensor]],
    dtype: torch.dtype = torch.float32,
    shape: tuple[int, int, int] | None = None,
) -> LatentDiffusionPrior:
    """Build a prior from its card and its weights.

    Args:
        card: Content of `prior.json`.
        tensors: Weights of "autoencoder" and, when the card has one, "denoiser", by MONAI name.
        dtype: Type in which to hold the weights.
        shape: Image shape of a free prior; None takes the smallest possible.

    Returns:
        The prior.

    Raises:
        InputError: the card has no autoencoder, or the weights do not fit it.
    """
    if "autoencoder" not in card.networks:
        message = f"prior {card.name!r} has no autoencoder; expected one: it cannot decode"
        raise InputError(message)
    partial = not card.latent.has_encoder
    autoencoder = load_network(
        card.networks["autoencoder"], tensors["autoencoder"], partial=partial
    )
    hold_in(autoencoder, dtype, exact=boundary_layers(autoencoder))
    denoiser, schedule = None, None
    if "denoiser" in card.networks and card.schedule is not None:
        denoiser = load_network(card.networks["denoiser"], tensors["denoiser"], partial=False)
        hold_in(denoiser, dtype)
        schedule = make_schedule(card.schedule)
    smallest = (card.grid.multiple,) * 3
    grid = grid_of(card, shape or (smallest if card.grid.kind == "free" else None))
    return LatentDiffusionPrior(card, grid, autoencoder, denoiser, schedule, dtype)
