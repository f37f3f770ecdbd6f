"""The stage `error`: trains the uncertainty network, which predicts errors of the U-Net.

    loss = mean |e| / b + log b,      e = consistent(N(start)) - truth

which is least where b is the mean absolute error to be expected.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from inversesr.priors.networks.error_net import ErrorNet, ErrorShape
from inversesr.priors.networks.unet import SuperResolutionUNet
from inversesr.priors.slice_examples import SliceExamples
from inversesr.training import loop
from inversesr.training.device_batches import batches_on
from inversesr.training.initialisation import initialise
from inversesr.training.patches import PatchConfig, draw_batch
from inversesr.training.scans import read_scans, split_held_out

N_VALIDATION_BATCHES = 8


@dataclass(frozen=True)
class ErrorConfig:
    """Everything about the stage that can be chosen.

    Attributes:
        shape: Size of the network.
        patches: What it is trained on.
        schedule: How long and how.
        held_out: Words in the names of scans kept for validation.
        dtype: Arithmetic inside the networks; bfloat16 is faster where the hardware has it.
    """

    shape: ErrorShape = field(default_factory=ErrorShape)
    patches: PatchConfig = field(default_factory=PatchConfig)
    schedule: loop.LoopConfig = field(default_factory=loop.LoopConfig)
    held_out: tuple[str, ...] = ()
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True, eq=False)
class RestoredPatches:
    """Restored patches, shape (B, 1, X, Y, Z), and what they were made of."""

    x: torch.Tensor
    batch: SliceExamples


def train_error(
    data_dirs: Iterable[Path],
    unet: SuperResolutionUNet,
    config: ErrorConfig,
    output_dir: Path,
    *,
    resume: bool,
    watch: loop.Watch | None = None,
) -> ErrorNet:
    """Train the network that estimates errors.

    Args:
        data_dirs: Folders of scans, and of label maps if there are any.
        unet: Trained network whose errors are to be known.
        config: Everything that can be chosen.
        output_dir: Receives the checkpoint and the tables of losses.
        resume: Continue from the checkpoint in output_dir, if there is one.
        watch: Called after every step.

    Returns:
        The network with averaged weights.
    """
    paths, kept = split_held_out(data_dirs, config.held_out)
    scans, trial = read_scans(paths), read_scans(kept)
    device = torch.device(config.schedule.device)
    draw = batches_on(scans, config.patches, device)
    unet.eval().requires_grad_(requires_grad=False).to(device)
    generator = torch.Generator().manual_seed(config.schedule.seed)
    n_trials = N_VALIDATION_BATCHES if trial else 0
    trials = [
        restore_patches(
            unet, draw_batch(trial, config.patches, generator).to(device), config.dtype
        )
        for _ in range(n_trials)
    ]
    net = initialise(ErrorNet(config.shape), config.schedule.seed)
    task = loop.TrainingTask(
        net,
        lambda generator, _: restore_patches(unet, draw(generator), config.dtype),
        lambda model, patches: error_loss(model, patches, config.dtype),
        lambda model: validate(model, trials, config.dtype),
    )
    return loop.train(task, config.schedule, output_dir, resume=resume, watch=watch)


def restore_patches(
    unet: SuperResolutionUNet, batch: SliceExamples, dtype: torch.dtype
) -> RestoredPatches:
    """Restore a batch, consistent with its slices."""
    kind = batch.start.device.type
    with torch.no_grad(), torch.autocast(kind, dtype, enabled=dtype != torch.float32):
        x = unet(batch.start, batch.slices)
    return RestoredPatches(batch.make_consistent(x), batch)


def error_loss(net: ErrorNet, patches: RestoredPatches, dtype: torch.dtype) -> torch.Tensor:
    """Return the mean negative logarithm of the likelihood of the errors, less log 2."""
    x, batch = patches.x, patches.batch
    with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
        scale = net(x, batch.start, batch.slices)
    loss: torch.Tensor = ((x - batch.truth).abs() / scale + scale.log()).mean()
    return loss


def validate(net: ErrorNet, trials: list[RestoredPatches], dtype: torch.dtype) -> dict[str, float]:
    """Return what held-out errors cost, and what they would if their mean alone were known."""
    if not trials:
        return {}
    with torch.no_grad():
        found = [float(error_loss(net, trial, dtype)) for trial in trials]
    constant = [1.0 + float((trial.x - trial.batch.truth).abs().mean().log()) for trial in trials]
    return {"loss": sum(found) / len(found), "loss_of_constant": sum(constant) / len(constant)}
