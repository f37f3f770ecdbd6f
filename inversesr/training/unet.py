"""The stage `unet`: trains the super-resolution network.

    loss = consistent_error(x) + raw_weight f(x - truth)

x is the network's output and f the Charbonnier penalty; see `priors.slice_examples`. The last
term keeps the output near what the slices show, for scans too noisy to be reproduced exactly.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.priors.networks.unet import SuperResolutionShape, SuperResolutionUNet
from inversesr.priors.networks.unet_inference import refine
from inversesr.priors.slice_examples import (
    SliceExamples,
    charbonnier,
    consistent_error,
    slice_maps,
)
from inversesr.training import loop
from inversesr.training.degradation import DegradationConfig
from inversesr.training.device_batches import batches_on
from inversesr.training.initialisation import initialise
from inversesr.training.patches import PatchConfig
from inversesr.training.scans import read_scan, read_scans, split_held_out
from inversesr.training.synthetic import FIRST_OUTSIDE_BRAIN, SyntheticConfig, paint
from inversesr.training.training_scan import TrainingScan

VALIDATION_THICKNESSES = (4, 6)
# in-plane voxels of a held-out scan that are used, about its middle
VALIDATION_CROP = 112
# What the first steps train on. Started on the full variety of slices, a network without norms
# had learned nothing after 1,600 steps; after an easy start it improves from the first 100.
EASY_PATCHES = PatchConfig(
    shape=(32, 32, 64),
    synthetic=0.0,
    foreground=0.5,
    degradation=DegradationConfig(
        min_thickness=3.0, max_thickness=5.0, whole=0.8, aligned=1.0, touching=1.0, noisy=0.0
    ),
)


@dataclass(frozen=True)
class SuperResolutionConfig:
    """Everything about the stage that can be chosen.

    Attributes:
        shape: Size of the network.
        patches: What it is trained on.
        easy_patches: What it is trained on at first.
        n_easy_steps: Steps on the easy patches.
        schedule: How long and how.
        held_out: Words in the names of scans kept for validation.
        dtype: Arithmetic inside the network; bfloat16 is faster where the hardware has it.
        charbonnier: Error at which the penalty turns from squared to absolute.
        gradient_weight: Weight of the finite differences.
        raw_weight: Weight of the output before data consistency.
    """

    shape: SuperResolutionShape = field(default_factory=SuperResolutionShape)
    patches: PatchConfig = field(default_factory=PatchConfig)
    easy_patches: PatchConfig = EASY_PATCHES
    n_easy_steps: int = 400
    schedule: loop.LoopConfig = field(default_factory=loop.LoopConfig)
    held_out: tuple[str, ...] = ()
    dtype: torch.dtype = torch.float32
    charbonnier: float = 0.05
    gradient_weight: float = 0.25
    raw_weight: float = 0.25


def train_unet(
    data_dirs: Iterable[Path],
    config: SuperResolutionConfig,
    output_dir: Path,
    *,
    resume: bool,
    watch: loop.Watch | None = None,
) -> SuperResolutionUNet:
    """Train the super-resolution network.

    Args:
        data_dirs: Folders of scans, and of label maps if there are any.
        config: Everything that can be chosen.
        output_dir: Receives the checkpoint and the tables of losses.
        resume: Continue from the checkpoint in output_dir, if there is one.
        watch: Called after every step.

    Returns:
        The network with averaged weights.
    """
    scans, examples = read_training_set(data_dirs, config.held_out)
    device = torch.device(config.schedule.device)
    easy, usual = (batches_on(scans, c, device) for c in (config.easy_patches, config.patches))
    net = initialise(SuperResolutionUNet(config.shape), config.schedule.seed)
    task = loop.TrainingTask(
        net,
        lambda generator, step: (easy if step < config.n_easy_steps else usual)(generator),
        lambda model, batch: unet_loss(model, batch, config),
        lambda model: validate(model, examples, config.dtype),
    )
    return loop.train(task, config.schedule, output_dir, resume=resume, watch=watch)


def read_training_set(
    data_dirs: Iterable[Path], held_out: tuple[str, ...]
) -> tuple[list[TrainingScan], list[torch.Tensor]]:
    """Read the scans that are trained on, and the examples made of those that are kept.

    Args:
        data_dirs: Folders of scans, and of label maps if there are any.
        held_out: Words in the names of scans kept for validation.
    """
    paths, kept = split_held_out(data_dirs, held_out)
    return read_scans(paths), [
        validation_example(read_scan(path), number) for number, path in enumerate(kept)
    ]


def unet_loss(
    net: SuperResolutionUNet, batch: SliceExamples, config: SuperResolutionConfig
) -> torch.Tensor:
    """Return the error after data consistency, with a little of that before it."""
    with torch.autocast(
        batch.start.device.type, config.dtype, enabled=config.dtype != torch.float32
    ):
        x = net(batch.start, batch.slices, batch.noise)
    loss = consistent_error(x, batch, config.charbonnier, config.gradient_weight)
    return loss + config.raw_weight * charbonnier(x - batch.truth, config.charbonnier)


def validation_example(scan: TrainingScan, number: int) -> torch.Tensor:
    """Return the middle of a held-out scan in [0, 1], a sharp axis last, (X, Y, Z)."""
    last = scan.sharp_axes[number % len(scan.sharp_axes)]
    voxels = scan.voxels.movedim(last, -1)
    for axis in range(2):
        n = min(VALIDATION_CROP, voxels.shape[axis])
        voxels = voxels.narrow(axis, (voxels.shape[axis] - n) // 2, n)
    if not scan.is_labels:
        return voxels.float() / scan.white
    brain = torch.where(voxels < FIRST_OUTSIDE_BRAIN, voxels, 0)
    return paint(brain, SyntheticConfig(), torch.Generator().manual_seed(number))


def validate(
    net: SuperResolutionUNet, examples: list[torch.Tensor], dtype: torch.dtype
) -> dict[str, float]:
    """Return the gains of the network, made consistent, over cubic interpolation in dB PSNR."""
    figures: dict[str, float] = {}
    for thickness in VALIDATION_THICKNESSES:
        for number, truth in enumerate(examples):
            gain = psnr_gain(net, truth, thickness, dtype)
            figures[f"gain_db_{thickness}_{number}"] = gain
    return figures


def psnr_gain(
    net: SuperResolutionUNet, truth: torch.Tensor, thickness: int, dtype: torch.dtype
) -> float:
    """Degrade by touching box slices, restore consistently; compare with interpolation."""
    geometry = SliceGeometry(thickness, thickness, (thickness - 1) / 2.0)
    device = next(net.parameters()).device
    truth = truth.to(device)
    maps = slice_maps(geometry, "rect", truth.shape[-1]).to(device)
    y = truth @ maps.A.T
    restored = refine(net, y @ maps.consistent_spline.T, geometry, dtype)
    consistent = restored @ maps.null.T + y @ maps.pinv.T
    inside = truth > 0
    errors = [(x - truth)[inside].square().mean() for x in (y @ maps.spline.T, consistent)]
    return float(10.0 * torch.log10(errors[0] / errors[1]))
