"""The stage `brainmask`: trains the network that finds the brain, on label maps of heads.

    loss = cross-entropy(p, mask) + 1 - 2 sum(p mask) / (sum p + sum mask)

The network of the package comes from this stage; see docs/explanation/brain-mask.md.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn
from torch.nn import functional

from inversesr.acquisition.brain_network import CARD_NAME, CHANNELS, WEIGHTS_NAME, build_network
from inversesr.training import distributed, loop
from inversesr.training.brain_labels import read_heads
from inversesr.training.head_examples import HeadConfig, HeadExample, draw_head
from inversesr.training.initialisation import initialise
from inversesr.training.scans import split_held_out

# examples a held-out head, always the same
N_VALIDATIONS = 3


@dataclass(frozen=True)
class BrainMaskConfig:
    """Everything about the stage that can be chosen.

    Attributes:
        channels: Channels at 6, 12 and 24 mm, and of the innermost block.
        heads: What it is trained on.
        schedule: How long and how.
        held_out: Words in the names of label maps kept for validation.
        licence: Licence of the weights, for their card.
        training_data: What they were trained on, with its licence.
        limits: What is known to be wrong with them.
        dtype: Arithmetic inside the network; bfloat16 is faster where the hardware has it.
    """

    channels: tuple[int, int, int, int] = CHANNELS
    heads: HeadConfig = field(default_factory=HeadConfig)
    schedule: loop.LoopConfig = field(
        default_factory=lambda: loop.LoopConfig(
            n_steps=4_000,
            learning_rate=2e-3,
            n_warm_up=50,
            ema_decay=0.995,
            validate_every=250,
        )
    )
    held_out: tuple[str, ...] = ()
    licence: str = "not stated"
    training_data: str = "not stated"
    limits: str = "not stated"
    dtype: torch.dtype = torch.float32


def train_brain_mask(
    data_dirs: Iterable[Path],
    config: BrainMaskConfig,
    output_dir: Path,
    *,
    resume: bool,
    watch: loop.Watch | None = None,
) -> nn.Module:
    """Train the network that finds the brain.

    Args:
        data_dirs: Folders of label maps at 1 mm, with labels from 500 on outside the brain.
        config: Everything that can be chosen.
        output_dir: Receives the checkpoint, the tables of losses, and the two files that make
            the network of the package: card.json and weights.safetensors.
        resume: Continue from the checkpoint in output_dir, if there is one.
        watch: Called after every step.

    Returns:
        The network with averaged weights.
    """
    paths, kept = split_held_out(data_dirs, config.held_out)
    heads = read_heads(paths)
    generator = torch.Generator().manual_seed(config.schedule.seed)
    trials = [
        draw_head([head], config.heads, generator)
        for head in read_heads(kept)
        for _ in range(N_VALIDATIONS)
    ]
    network = initialise(build_network(config.channels), config.schedule.seed)
    task = loop.TrainingTask(
        network,
        lambda generator, _: draw_head(heads, config.heads, generator),
        lambda model, example: mask_loss(model, example, config.dtype),
        lambda model: validate(model, trials, config.dtype),
    )
    trained = loop.train(task, config.schedule, output_dir, resume=resume, watch=watch)
    if distributed.rank() == 0:
        write_network(trained, config, output_dir)
    return trained


def predict(network: nn.Module, image: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the logits of an example, float32."""
    image = image.contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast(image.device.type, dtype, enabled=dtype != torch.float32):
        logits: torch.Tensor = network(image)
    return logits.float()


def mask_loss(network: nn.Module, example: HeadExample, dtype: torch.dtype) -> torch.Tensor:
    """Return cross-entropy and what overlap is missing."""
    logits, mask = predict(network, example.image, dtype), example.mask
    share = logits.sigmoid()
    overlap = 2.0 * (share * mask).sum() / (share.sum() + mask.sum()).clamp(min=1.0)
    return functional.binary_cross_entropy_with_logits(logits, mask) + 1.0 - overlap


def validate(
    network: nn.Module, trials: list[HeadExample], dtype: torch.dtype
) -> dict[str, float]:
    """Return mean and least Dice of held-out heads on the grid of the network."""
    if not trials:
        return {}
    scores = []
    with torch.no_grad():
        for trial in trials:
            found, mask = predict(network, trial.image, dtype) > 0, trial.mask > 0.5
            scores.append(float(2 * (found & mask).sum() / (found.sum() + mask.sum())))
    return {"dice": sum(scores) / len(scores), "least_dice": min(scores)}


def write_network(network: nn.Module, config: BrainMaskConfig, output_dir: Path) -> None:
    """Write the two files that make the network of the package."""
    weights = save({name: t.half().contiguous() for name, t in network.state_dict().items()})
    (output_dir / WEIGHTS_NAME).write_bytes(weights)
    card = {
        "licence": config.licence,
        "training_data": config.training_data,
        "held_out": list(config.held_out),
        "intended_use": "the pose of a head in research; no segmentation, no measurement",
        "limits": config.limits,
        "channels": list(config.channels),
        "sha256": sha256(weights).hexdigest(),
    }
    (output_dir / CARD_NAME).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
