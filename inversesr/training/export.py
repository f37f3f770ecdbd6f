"""The stage `export`: gathers what was trained into a prior that can be installed.

The averaged weights are stored in float16; what the prior says of itself (how it whitens latents,
how well it reconstructs) is measured with the weights as they are stored.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inversesr.errors import InputError
from inversesr.priors.card import (
    FileCard,
    GridCard,
    IntensityCard,
    LatentCard,
    NetworkCard,
    PriorCard,
    ScheduleCard,
    dump_card,
    parse_card,
)
from inversesr.priors.latent_diffusion import LatentDiffusionPrior
from inversesr.priors.loading import assemble_prior
from inversesr.priors.networks import haar
from inversesr.priors.networks.local_autoencoder import FACTOR
from inversesr.priors.store import CARD_NAME, digest, read_json, write_text
from inversesr.priors.tensors import save_tensors
from inversesr.priors.typed_json import read_value
from inversesr.training.architectures import arguments_of, averaged_weights
from inversesr.training.autoencoder import whole_scan
from inversesr.training.checkpoint import CHECKPOINT_NAME, stage_folder
from inversesr.training.latents import LATENTS_NAME
from inversesr.training.scans import read_scan, split_held_out

STORED_DTYPE = torch.float16
# every side of an image, so that the U-Net and the autoencoder take it alike
MULTIPLE = 8
# role of a network, which is also the stage that trains it -> its class
ROLES = {
    "unet": "SuperResolutionUNet",
    "conditional": "ConditionalDenoiser",
    "error": "ErrorNet",
    "autoencoder": "LocalAutoencoder",
    "denoiser": "LocalDenoiser",
    "image-denoiser": "ImageDenoiser",
}


@dataclass(frozen=True)
class ExportConfig:
    """What a prior says of itself that cannot be measured.

    Attributes:
        name: Name by which it will be used.
        version: Version of the weights.
        licence: Licence of the weights.
        citation: What to cite.
        intended_use: What it is for.
        limits: What is known to be wrong with it.
        modality: Contrasts on which it was trained.
        held_out: Words in the names of scans that were kept from training; only these measure.
    """

    name: str = "own"
    version: str = "1"
    licence: str = "not stated"
    citation: str = "not stated"
    intended_use: str = "research; not for clinical use"
    limits: str = "not stated"
    modality: str = "any"
    held_out: tuple[str, ...] = ()


def export_prior(
    run_dir: Path, data_dirs: Iterable[Path], config: ExportConfig, prior_dir: Path
) -> PriorCard:
    """Write a prior from the stages that were trained in a folder.

    Args:
        run_dir: Folder with a folder for each stage.
        data_dirs: Folders of scans; those that were held out measure the prior.
        config: What it says of itself.
        prior_dir: Folder to write; an older prior in it is replaced.

    Returns:
        The card of the prior.

    Raises:
        InputError: nothing was trained in run_dir.
    """
    roles = trained_roles(run_dir)
    if not roles:
        message = f"{run_dir} holds no trained stage; expected one of {', '.join(ROLES)}"
        raise InputError(message)
    tensors = {role: stored_weights(stage_folder(run_dir, role)) for role in roles}
    card = make_card(run_dir, tensors, config)
    if "autoencoder" in roles:
        card = measure(card, tensors, held_out_scans(data_dirs, config))
    prior_dir.mkdir(parents=True, exist_ok=True)
    files = {}
    for role in roles:
        path = prior_dir / card.networks[role].file
        save_tensors(path, tensors[role], STORED_DTYPE)
        files[path.name] = FileCard(path.stat().st_size, digest(path))
    card = replace(card, files=files)
    write_text(prior_dir / CARD_NAME, dump_card(card))
    return card


def trained_roles(run_dir: Path) -> list[str]:
    """Return the roles whose networks were trained in a folder."""
    return [r for r in ROLES if (stage_folder(run_dir, r) / CHECKPOINT_NAME).is_file()]


def stored_weights(stage_dir: Path) -> dict[str, Tensor]:
    """Return the averaged weights of a stage, rounded to what will be stored."""
    return {k: v.to(STORED_DTYPE).float() for k, v in averaged_weights(stage_dir).items()}


def make_card(
    run_dir: Path, tensors: Mapping[str, Mapping[str, Tensor]], config: ExportConfig
) -> PriorCard:
    """Describe the networks, checked for consistency."""
    networks = {
        role: NetworkCard(ROLES[role], arguments_of(ROLES[role], t), f"{role}.safetensors")
        for role, t in tensors.items()
    }
    autoencoder = networks.get("autoencoder")
    # the format wants a number even where there is no latent
    channels = autoencoder.arguments["latent_channels"] if autoencoder else haar.N_BANDS
    latent, schedule = LatentCard(channels, FACTOR), None
    if "denoiser" in networks:
        latent, schedule = read_statistics(run_dir / "denoiser" / LATENTS_NAME, latent)
    card = PriorCard(
        name=config.name,
        version=config.version,
        licence=config.licence,
        citation=config.citation,
        intended_use=config.intended_use,
        limits=config.limits,
        modality=config.modality,
        skull="present",
        grid=GridCard("free", (1.0, 1.0, 1.0), multiple=MULTIPLE),
        latent=latent,
        networks=networks,
        schedule=schedule,
        intensity=IntensityCard(high_percentile=99.9),
    )
    return parse_card(json.loads(dump_card(card)))


def read_statistics(path: Path, latent: LatentCard) -> tuple[LatentCard, ScheduleCard]:
    """Read how the denoiser saw latents in training, which the prior must repeat."""
    record: Any = read_json(path)
    statistics: dict[str, Any] = {
        name: read_value(tuple[float, ...], record["statistics"][name], f"{path}: {name}")
        for name in ("mean", "std")
    }
    schedule: Any = read_value(ScheduleCard, record["schedule"], f"{path}: schedule")
    return replace(latent, **statistics, whitened=True), schedule


def held_out_scans(data_dirs: Iterable[Path], config: ExportConfig) -> list[Tensor]:
    """Read the scans that no stage was trained on, in [0, 1], padded to a multiple."""
    folders = list(data_dirs)
    kept = split_held_out(folders, config.held_out)[1] if folders else []
    return [whole_scan(read_scan(path), number, MULTIPLE) for number, path in enumerate(kept)]


def measure(
    card: PriorCard, tensors: Mapping[str, Mapping[str, Tensor]], scans: list[Tensor]
) -> PriorCard:
    """Measure how well scans are reconstructed and, without a denoiser, what latents are like."""
    if not scans:
        return card
    prior = assemble_prior(card, {role: dict(t) for role, t in tensors.items()})
    n_voxels, total, latents = 0, 0.0, []
    for x in scans:
        error, z = reconstruction_errors(prior, x)
        latents.append(z.flatten(1))
        total += float(error.double().square().sum())
        n_voxels += error.numel()
    card = replace(card, reconstruction_rmse=math.sqrt(total / n_voxels))
    if card.latent.whitened:
        return card
    numbers = torch.cat(latents, dim=1)
    mean, std = (tuple(v.tolist()) for v in (numbers.mean(1), numbers.std(1)))
    return replace(card, latent=replace(card.latent, mean=mean, std=std))


def reconstruction_errors(prior: LatentDiffusionPrior, x: Tensor) -> tuple[Tensor, Tensor]:
    """Encode and decode a scan; return the errors where it is not background, and the latent."""
    length_x, length_y, length_z = x.shape
    fitting = prior.on_shape((length_x, length_y, length_z))
    z = fitting.encode(x)
    return (fitting.decode(z) - x)[x > 0], z
