"""The stage `export`: gathers what was trained into a prior that can be installed.

The averaged weights are stored in float16, or kernels in 8 bits; what the prior says of itself
(how it whitens latents, how well it reconstructs) is measured with the weights as stored.
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
    ConditioningCard,
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
from inversesr.priors.networks import block_autoencoder, haar, local_autoencoder
from inversesr.priors.store import CARD_NAME, digest, read_json, write_text
from inversesr.priors.tensors import load_tensors, save_tensors
from inversesr.priors.typed_json import read_value
from inversesr.training.aligned_files import grid_card
from inversesr.training.architectures import arguments_of, averaged_weights
from inversesr.training.autoencoder import whole_scan
from inversesr.training.brains import UNKNOWN, VARIABLES, draw_brain, read_brains
from inversesr.training.checkpoint import CHECKPOINT_NAME, stage_folder
from inversesr.training.latents import LATENTS_NAME
from inversesr.training.scans import read_scan, split_held_out

STORED_DTYPES = {16: torch.float16, 8: torch.int8}
# of the names of stages whose networks make a whole-brain prior
WHOLE = "whole-"
# of what such a denoiser is told, as maps beside the latent
CONDITIONING = ConditioningCard(VARIABLES, concatenated=True, null=(UNKNOWN,) * len(VARIABLES))
# every side of an image, so that the U-Net and the autoencoder take it alike
MULTIPLE = 8
# stage -> class of its network, which has the role of that name
ROLES = {
    "unet": "SuperResolutionUNet",
    "conditional": "ConditionalDenoiser",
    "error": "ErrorNet",
    "autoencoder": "LocalAutoencoder",
    "whole-autoencoder": "BlockAutoencoder",
    "denoiser": "LocalDenoiser",
    "image-denoiser": "ImageDenoiser",
    "whole-denoiser": "LocalDenoiser",
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
        n_bits: Bits of a weight: 16, or 8 for the kernels of convolutions.

    Raises:
        InputError: n_bits is neither.
    """

    name: str = "own"
    version: str = "1"
    licence: str = "not stated"
    citation: str = "not stated"
    intended_use: str = "research; not for clinical use"
    limits: str = "not stated"
    modality: str = "any"
    held_out: tuple[str, ...] = ()
    n_bits: int = 16

    def __post_init__(self) -> None:
        if self.n_bits not in STORED_DTYPES:
            message = f"n_bits is {self.n_bits}; expected 16 or 8"
            raise InputError(message)


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
        InputError: nothing was trained in run_dir, or two priors were.
    """
    roles = trained_stages(run_dir)
    if not roles:
        message = f"{run_dir} holds no trained stage; expected one of {', '.join(ROLES)}"
        raise InputError(message)
    if len({role_of(stage) for stage in roles}) < len(roles):
        message = (
            f"{run_dir} holds stages of patches and of whole brains ({', '.join(roles)}); "
            "expected those of one prior: move the others to a folder of their own"
        )
        raise InputError(message)
    tensors = {role: stored_weights(stage_folder(run_dir, role)) for role in roles}
    card = make_card(run_dir, tensors, config)
    prior_dir.mkdir(parents=True, exist_ok=True)
    files, stored = {}, {}
    for stage in roles:
        role = role_of(stage)
        path = prior_dir / card.networks[role].file
        save_tensors(path, tensors[stage], STORED_DTYPES[config.n_bits])
        files[path.name] = FileCard(path.stat().st_size, digest(path))
        stored[role] = load_tensors(path)
    if "autoencoder" in stored:
        read = held_out_scans if card.grid.kind == "free" else held_out_brains
        card = measure(card, stored, read(data_dirs, config))
    card = replace(card, files=files)
    write_text(prior_dir / CARD_NAME, dump_card(card))
    return card


def trained_stages(run_dir: Path) -> list[str]:
    """Return the stages that were trained in a folder."""
    return [r for r in ROLES if (stage_folder(run_dir, r) / CHECKPOINT_NAME).is_file()]


def stored_weights(stage_dir: Path) -> dict[str, Tensor]:
    """Return the averaged weights of a stage, rounded to what will be stored."""
    return {k: v.half().float() for k, v in averaged_weights(stage_dir).items()}


def role_of(stage: str) -> str:
    """Return the role, in a prior, of the network that a stage trains."""
    return stage.removeprefix(WHOLE)


def make_card(
    run_dir: Path, tensors: Mapping[str, Mapping[str, Tensor]], config: ExportConfig
) -> PriorCard:
    """Describe the networks, checked for consistency."""
    networks = {}
    for stage, weights in tensors.items():
        role, kind = role_of(stage), ROLES[stage]
        networks[role] = NetworkCard(kind, arguments_of(kind, weights), f"{role}.safetensors")
    is_whole = any(stage.startswith(WHOLE) for stage in tensors)
    factor = block_autoencoder.FACTOR if is_whole else local_autoencoder.FACTOR
    # the format wants numbers even where there is no latent
    latent, schedule = LatentCard(haar.N_BANDS, factor), None
    if "autoencoder" in networks:
        latent = LatentCard(networks["autoencoder"].arguments["latent_channels"], factor)
    trained = next((stage for stage in tensors if role_of(stage) == "denoiser"), None)
    if trained is not None:
        latent, schedule = read_statistics(run_dir / trained / LATENTS_NAME, latent)
    card = PriorCard(
        name=config.name,
        version=config.version,
        licence=config.licence,
        citation=config.citation,
        intended_use=config.intended_use,
        limits=config.limits,
        modality=config.modality,
        skull="stripped" if is_whole else "present",
        grid=grid_card() if is_whole else GridCard("free", (1.0, 1.0, 1.0), multiple=MULTIPLE),
        latent=latent,
        networks=networks,
        schedule=schedule,
        intensity=IntensityCard(high_percentile=99.9),
        conditioning=CONDITIONING if is_whole else ConditioningCard(),
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
    paths = held_out_paths(data_dirs, config)
    return [whole_scan(read_scan(path), number, MULTIPLE) for number, path in enumerate(paths)]


def held_out_brains(data_dirs: Iterable[Path], config: ExportConfig) -> list[Tensor]:
    """Read the aligned brains that no stage was trained on, in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    brains = read_brains(held_out_paths(data_dirs, config))
    return [draw_brain(brain, generator, as_it_is=True)[0] for brain in brains]


def held_out_paths(data_dirs: Iterable[Path], config: ExportConfig) -> list[Path]:
    """List the files that no stage was trained on."""
    folders = list(data_dirs)
    return split_held_out(folders, config.held_out)[1] if folders else []


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
    if prior.card.grid.kind == "free":
        length_x, length_y, length_z = x.shape
        prior = prior.on_shape((length_x, length_y, length_z))
    z = prior.encode(x)
    return (prior.decode(z) - x)[x > 0], z
