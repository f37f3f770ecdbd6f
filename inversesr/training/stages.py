"""The stages in which a prior is trained, each in a folder of its name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from inversesr.config import AUTOMATIC
from inversesr.errors import InputError
from inversesr.priors.card import NetworkCard, read_card
from inversesr.priors.networks.build import check_listed, fast_dtype, load_network
from inversesr.priors.networks.conditional_denoiser import ROLE as CONDITIONAL
from inversesr.priors.networks.unet import ROLE as UNET
from inversesr.priors.store import find_prior
from inversesr.priors.tensors import load_tensors
from inversesr.training import distributed, loop
from inversesr.training.architectures import arguments_of, averaged_weights
from inversesr.training.autoencoder import AutoencoderConfig, train_autoencoder
from inversesr.training.brain_mask import BrainMaskConfig, train_brain_mask
from inversesr.training.checkpoint import CHECKPOINT_NAME, save_start, stage_folder
from inversesr.training.conditional import ConditionalConfig, train_conditional
from inversesr.training.curves import write_curves
from inversesr.training.denoiser import train_denoiser
from inversesr.training.denoiser_config import DenoiserConfig
from inversesr.training.error_net import ErrorConfig, train_error
from inversesr.training.image_denoiser import ImageDenoiserConfig, train_image_denoiser
from inversesr.training.settings import configure
from inversesr.training.unet import SuperResolutionConfig, train_unet
from inversesr.training.whole_autoencoder import (
    WholeAutoencoderConfig,
    train_whole_autoencoder,
)
from inversesr.training.whole_denoiser import WholeDenoiserConfig, train_whole_denoiser


class Train(Protocol):
    """What trains a stage."""

    def __call__(
        self,
        data_dirs: Iterable[Path],
        config: Any,  # noqa: ANN401  (each stage has its own)
        output_dir: Path,
        *,
        resume: bool,
        watch: loop.Watch | None = None,
    ) -> object:
        """Train from folders of scans into a folder of results."""
        ...


@dataclass(frozen=True)
class Stage:
    """One stage: its configuration, what trains it, the class of its network.

    Attributes:
        config: Its configuration, with everything at its default.
        train: What trains it.
        network: Class of its network.
        on_gpu: Whether it can train on a GPU.
    """

    config: Callable[[], Any]
    train: Train
    network: str
    on_gpu: bool = False


def after(needed: str, train: Callable[..., object]) -> Train:
    """Return what trains a stage that takes the network of another one, trained beside it."""

    def run(
        data_dirs: Iterable[Path],
        config: Any,  # noqa: ANN401  (each stage has its own)
        output_dir: Path,
        *,
        resume: bool,
        watch: loop.Watch | None = None,
    ) -> object:
        other = load_trained(output_dir.parent, needed)
        return train(data_dirs, other, config, output_dir, resume=resume, watch=watch)

    return run


# one line a stage: what `inversesr prior train STAGE` knows
STAGES = {
    "unet": Stage(SuperResolutionConfig, train_unet, "SuperResolutionUNet", on_gpu=True),
    "conditional": Stage(ConditionalConfig, train_conditional, "ConditionalDenoiser", on_gpu=True),
    "error": Stage(ErrorConfig, after("unet", train_error), "ErrorNet", on_gpu=True),
    "autoencoder": Stage(AutoencoderConfig, train_autoencoder, "LocalAutoencoder"),
    "denoiser": Stage(DenoiserConfig, after("autoencoder", train_denoiser), "LocalDenoiser"),
    "whole-autoencoder": Stage(
        WholeAutoencoderConfig, train_whole_autoencoder, "BlockAutoencoder"
    ),
    "whole-denoiser": Stage(
        WholeDenoiserConfig, after("whole-autoencoder", train_whole_denoiser), "LocalDenoiser"
    ),
    "image-denoiser": Stage(ImageDenoiserConfig, train_image_denoiser, "ImageDenoiser"),
    "brainmask": Stage(BrainMaskConfig, train_brain_mask, "UNet"),
}


@dataclass(frozen=True)
class TrainingRequest:
    """What a user asked for.

    Attributes:
        stage: Name of the stage.
        data_dirs: Folders of scans.
        run_dir: Folder of all stages; each has its own in it.
        settings: Changed fields of the stage's configuration.
        minutes: Budget instead of the one in the settings.
        resume: Continue from the last checkpoint.
        start: Name or folder of a prior whose network to train further.
        device: "auto" for a GPU where there is one and the stage can use it, "cpu" or "cuda".
    """

    stage: str
    data_dirs: tuple[Path, ...]
    run_dir: Path
    settings: Mapping[str, Any]
    minutes: float | None = None
    resume: bool = False
    start: str | None = None
    device: str = AUTOMATIC


def train_stage(request: TrainingRequest, watch: loop.Watch | None = None) -> Path:
    """Train one stage.

    Args:
        request: What a user asked for.
        watch: Called after every step.

    Returns:
        Folder of the stage: checkpoint.safetensors, losses.csv, validation.csv, losses.png.

    Raises:
        InputError: there is no such stage, no data, an impossible setting, or nothing to start
            from.
    """
    stage_dir = stage_folder(request.run_dir, request.stage)
    checkpoint = stage_dir / CHECKPOINT_NAME
    if checkpoint.exists() and not request.resume:
        message = f"{checkpoint} exists: give --resume to continue it, or another folder with -o"
        raise InputError(message)
    config = config_of(request)
    resume = request.resume or request.start is not None
    # all have looked before one writes
    distributed.barrier()
    if request.start is not None and not checkpoint.exists() and distributed.rank() == 0:
        save_start(prior_weights(request.start, request.stage), checkpoint)
    distributed.barrier()
    STAGES[request.stage].train(request.data_dirs, config, stage_dir, resume=resume, watch=watch)
    if distributed.rank() == 0:
        write_curves(stage_dir)
    return stage_dir


def prior_weights(name_or_folder: str, role: str) -> dict[str, torch.Tensor]:
    """Return the weights of a prior's network, float32.

    Raises:
        InputError: the prior has no such network.
    """
    folder = find_prior(name_or_folder)
    card = read_card(folder)
    if role == CONDITIONAL and role not in card.networks:
        # it is the U-Net with two inputs more, which begin at nothing
        role = UNET
    if role not in card.networks:
        message = f"prior {card.name!r} has no {role}; it has {', '.join(card.networks)}"
        raise InputError(message)
    check_listed(folder, card, [card.networks[role].file])
    tensors = load_tensors(folder / card.networks[role].file)
    return {name: tensor.float() for name, tensor in tensors.items()}


def config_of(request: TrainingRequest) -> Any:  # noqa: ANN401  (each stage has its own)
    """Return the configuration of a stage: its defaults, this machine's type, the settings."""
    if request.stage not in STAGES:
        message = f"stage is {request.stage!r}; expected one of {', '.join(STAGES)}, export"
        raise InputError(message)
    device = device_of(request)
    default = STAGES[request.stage].config()
    schedule = replace(default.schedule, device=str(device))
    default = replace(default, dtype=fast_dtype(device), schedule=schedule)
    config = configure(default, request.settings, request.stage)
    if request.minutes is None:
        return config
    return replace(config, schedule=replace(config.schedule, minutes=request.minutes))


def device_of(request: TrainingRequest) -> torch.device:
    """Return where a stage is trained.

    Raises:
        InputError: CUDA was asked for, and is not there or of no use to the stage.
    """
    has_cuda, can_use = torch.cuda.is_available(), STAGES[request.stage].on_gpu
    if request.device == "cuda" and not can_use:
        able = ", ".join(name for name, stage in STAGES.items() if stage.on_gpu)
        message = f"{request.stage} is trained on the processor; --device cuda is for {able}"
        raise InputError(message)
    if request.device == "cuda" and not has_cuda:
        message = "no CUDA device is usable here: leave out --device, or run `inversesr doctor`"
        raise InputError(message)
    return torch.device("cuda" if has_cuda and can_use and request.device != "cpu" else "cpu")


def load_trained(run_dir: Path, stage: str) -> Any:  # noqa: ANN401  (each stage has its own)
    """Load the trained network of another stage of a run.

    Args:
        run_dir: Folder of all stages.
        stage: Name of the other stage.

    Raises:
        InputError: it has not been trained.
    """
    tensors = averaged_weights(stage_folder(run_dir, stage))
    name = STAGES[stage].network
    card = NetworkCard(name, arguments_of(name, tensors), str(run_dir / stage))
    return load_network(card, tensors, partial=False)
