"""The stage `brainmask`: teaches the network that finds the brain in any contrast.

    loss = 1 - Dice(sigmoid(x), brain) + cross_entropy(x, brain)        where there was a scan

x are the network's logits. The heads are painted from label maps only; no image is needed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch.nn import functional

from inversesr.errors import InputError
from inversesr.priors.brainmask import N_BLOCKS, WIDTHS, BrainMaskNet
from inversesr.priors.bundle import NetworkCard
from inversesr.training import loop
from inversesr.training.heads import Example, Head, HeadConfig, draw_example, read_heads
from inversesr.training.scans import LABEL_WORDS, find_scans
from inversesr.training.warmstart import seed_weights

VALIDATION_THICKNESS_MM = 5.0


@dataclass(frozen=True)
class BrainMaskConfig:
    """Everything about the stage that can be chosen.

    Attributes:
        widths: Channels of the network at 4 mm, 8 mm, and so on.
        n_blocks: Residual blocks at each of these.
        heads: What it is trained on.
        schedule: How long and how.
        held_out: Words in the names of label maps kept for validation.
        n_validation: Heads drawn from each of these.
        dtype: Arithmetic inside the network; bfloat16 is faster where the hardware has it.
    """

    widths: tuple[int, ...] = WIDTHS
    n_blocks: tuple[int, ...] = N_BLOCKS
    heads: HeadConfig = field(default_factory=HeadConfig)
    schedule: loop.LoopConfig = field(
        default_factory=lambda: loop.LoopConfig(
            n_steps=4_000, learning_rate=2e-3, n_warm_up=50, ema_decay=0.99, validate_every=500
        )
    )
    held_out: tuple[str, ...] = ()
    n_validation: int = 2
    dtype: torch.dtype = torch.float32


def train_brainmask(
    data_dirs: Iterable[Path],
    config: BrainMaskConfig,
    output_dir: Path,
    *,
    resume: bool,
    watch: loop.Watch | None = None,
) -> BrainMaskNet:
    """Train the brain mask network.

    Args:
        data_dirs: Folders with whole-head label maps; images beside them are passed over.
        config: Everything that can be chosen.
        output_dir: Receives the checkpoint and the tables of losses.
        resume: Continue from the checkpoint in output_dir, if there is one.
        watch: Called after every step.

    Returns:
        The network with averaged weights.

    Raises:
        InputError: there are no label maps to train on.
    """
    paths = [path for path in find_scans(data_dirs) if is_label_map(path)]
    kept = [path for path in paths if any(word in path.name for word in config.held_out)]
    heads = read_heads(path for path in paths if path not in kept)
    if not heads:
        words = ", ".join(sorted(LABEL_WORDS))
        message = (
            f"{len(paths)} label maps were found and {len(kept)} are held out; expected at least "
            f"one to train on, with one of these words in its name: {words}"
        )
        raise InputError(message)
    examples = validation_examples(read_heads(kept), config)
    net = BrainMaskNet(config.widths, config.n_blocks)
    seed_weights(net, torch.Generator().manual_seed(config.schedule.seed))
    net.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # no stub
    task = loop.Task(
        net,
        lambda generator, _: draw_example(heads, config.heads, generator),
        lambda model, example: brainmask_loss(model, example, config.dtype),
        lambda model: validate(model, examples, config.dtype),
    )
    return loop.train(task, config.schedule, output_dir, resume=resume, watch=watch)


def brainmask_card(config: BrainMaskConfig) -> NetworkCard:
    """Return what `prior.json` says of the trained network."""
    arguments = {"widths": list(config.widths), "n_blocks": list(config.n_blocks)}
    return NetworkCard(BrainMaskNet.__name__, arguments, "brainmask.safetensors")


def is_label_map(path: Path) -> bool:
    """Whether a file's name has a word such as "seg" in it."""
    words = path.name.split(".nii")[0].lower().split("_")
    return bool(LABEL_WORDS.intersection(words))


def brainmask_loss(net: BrainMaskNet, example: Example, dtype: torch.dtype) -> torch.Tensor:
    """Return one minus the soft Dice overlap, plus the cross entropy."""
    logits = predict(net, example, dtype)
    seen = example.scanned
    entropy = functional.binary_cross_entropy_with_logits(logits, example.brain, reduction="none")
    overlap = soft_dice(torch.sigmoid(logits) * seen, example.brain * seen)
    return 1.0 - overlap + (entropy * seen).sum() / seen.sum()


def predict(net: BrainMaskNet, example: Example, dtype: torch.dtype) -> torch.Tensor:
    """Return the network's logits in the given arithmetic."""
    device = example.image.device.type
    with torch.autocast(device, dtype, enabled=dtype != torch.float32):
        logits: torch.Tensor = net(example.image)
    return logits


def soft_dice(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return twice the common part over the sum; 1 for two empty masks.

    Reference: Milletari, Navab, Ahmadi (2016), V-Net: fully convolutional neural networks for
    volumetric medical image segmentation, 3DV, doi:10.1109/3DV.2016.79.
    """
    return (2.0 * (first * second).sum() + 1.0) / (first.sum() + second.sum() + 1.0)


def validation_examples(heads: list[Head], config: BrainMaskConfig) -> list[Example]:
    """Draw whole held-out heads with slices of 5 mm and contrasts of their own."""
    thick = replace(
        config.heads,
        thick=1.0,
        min_thickness_mm=VALIDATION_THICKNESS_MM,
        max_thickness_mm=VALIDATION_THICKNESS_MM,
        partial=0.0,
        cropped=0.0,
    )
    return [
        draw_example([head], thick, torch.Generator().manual_seed(1_000 * number + repeat))
        for number, head in enumerate(heads)
        for repeat in range(config.n_validation)
    ]


def validate(net: BrainMaskNet, examples: list[Example], dtype: torch.dtype) -> dict[str, float]:
    """Return the mean and the lowest Dice overlap of thresholded masks."""
    with torch.no_grad():
        overlaps = [
            float(soft_dice((predict(net, example, dtype) > 0).float(), example.brain))
            for example in examples
        ]
    if not overlaps:
        return {}
    return {"mean_dice": sum(overlaps) / len(overlaps), "lowest_dice": min(overlaps)}
