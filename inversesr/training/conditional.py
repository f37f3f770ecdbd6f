"""The stage `conditional`: trains a denoiser of what thick slices do not show.

    r = x - s,      r_sigma = P (r + sigma n),      e = D(r_sigma, sigma | s) - r
    loss = mean of (P e)^2 (sigma^2 + sd^2) / (sigma sd)^2 + ((1 - P) e)^2 / sd^2

x is a sharp patch, s its thick slices interpolated and made consistent, P what no slice shows. The
weight makes the estimate that knows nothing but variances cost one at every noise level. A share
of the patches has the highest noise, where the answer is the image of least expected error.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from inversesr.priors.networks.conditional_denoiser import (
    HIGHEST_SIGMA,
    LOWEST_SIGMA,
    RESIDUAL_SD,
    ConditionalDenoiser,
)
from inversesr.priors.networks.unet import SuperResolutionShape
from inversesr.priors.slice_examples import SliceExamples
from inversesr.training import loop
from inversesr.training.device_batches import batches_on
from inversesr.training.initialisation import initialise
from inversesr.training.patches import PatchConfig
from inversesr.training.random import happens, normal, normal_like
from inversesr.training.unet import read_training_set, validate

# A patch that is far off, such as one that was painted with next to no contrast, counts as this.
LARGEST_LOSS = 60.0


@dataclass(frozen=True)
class ConditionalConfig:
    """Everything about the stage that can be chosen.

    Attributes:
        shape: Size of the network.
        patches: What it is trained on.
        schedule: How long and how.
        held_out: Words in the names of scans kept for validation.
        dtype: Arithmetic inside the network; bfloat16 is faster where the hardware has it.
        highest: Share of the patches that have the highest noise.
        median_level: Median of the other noise levels: noise as large as what it hides counts
            most for samples.
        level_spread: Standard deviation of their logarithm.
    """

    shape: SuperResolutionShape = field(default_factory=SuperResolutionShape)
    patches: PatchConfig = field(default_factory=PatchConfig)
    schedule: loop.LoopConfig = field(default_factory=loop.LoopConfig)
    held_out: tuple[str, ...] = ()
    dtype: torch.dtype = torch.float32
    highest: float = 0.08
    median_level: float = 0.06
    level_spread: float = 1.2


@dataclass(frozen=True, eq=False)
class NoisyExamples:
    """Patches whose unseen part carries noise.

    Attributes:
        examples: Patches and their slices.
        sigma: Noise level of each, shape (B,).
        residual: r_sigma, shape (B, 1, X, Y, Z).
    """

    examples: SliceExamples
    sigma: torch.Tensor
    residual: torch.Tensor

    def to(self, device: torch.device) -> "NoisyExamples":
        """Return the batch on a device."""
        return NoisyExamples(
            self.examples.to(device), self.sigma.to(device), self.residual.to(device)
        )


def train_conditional(
    data_dirs: Iterable[Path],
    config: ConditionalConfig,
    output_dir: Path,
    *,
    resume: bool,
    watch: loop.Watch | None = None,
) -> ConditionalDenoiser:
    """Train the denoiser.

    Args:
        data_dirs: Folders of scans, and of label maps if there are any.
        config: Everything that can be chosen.
        output_dir: Receives the checkpoint and the tables of losses.
        resume: Continue from the checkpoint in output_dir, if there is one; it may be that of a
            super-resolution U-Net.
        watch: Called after every step.

    Returns:
        The network with averaged weights.
    """
    scans, examples = read_training_set(data_dirs, config.held_out)
    draw = batches_on(scans, config.patches, torch.device(config.schedule.device))
    net = initialise(ConditionalDenoiser(config.shape), config.schedule.seed)
    task = loop.TrainingTask(
        net,
        lambda generator, _step: add_noise(draw(generator), config, generator),
        lambda model, batch: denoising_loss(model, batch, config.dtype),
        lambda model: validate(model, examples, config.dtype),
    )
    return loop.train(task, config.schedule, output_dir, resume=resume, watch=watch)


def add_noise(
    examples: SliceExamples, config: ConditionalConfig, generator: torch.Generator
) -> NoisyExamples:
    """Add noise to what the slices do not show.

    Args:
        examples: Patches and their slices.
        config: Which noise levels are drawn.
        generator: Source of levels and noise.
    """
    levels = [draw_level(config, generator) for _ in range(len(examples.noise))]
    sigma = torch.tensor(levels).to(examples.start)
    r = examples.truth - examples.start
    noise = normal_like(r, generator)
    residual = examples.unseen(r + sigma[:, None, None, None, None] * noise)
    return NoisyExamples(examples, sigma, residual)


def draw_level(config: ConditionalConfig, generator: torch.Generator) -> float:
    """Draw a noise level: now and then the highest, else one from a log-normal distribution."""
    if happens(config.highest, generator):
        return HIGHEST_SIGMA
    level = config.median_level * math.exp(config.level_spread * normal(generator))
    return min(max(level, LOWEST_SIGMA), HIGHEST_SIGMA)


def denoising_loss(
    net: ConditionalDenoiser, batch: NoisyExamples, dtype: torch.dtype
) -> torch.Tensor:
    """Return the error of the denoised residual, weighted by its noise."""
    examples, sigma = batch.examples, batch.sigma
    with torch.autocast(sigma.device.type, dtype, enabled=dtype != torch.float32):
        found = net.denoise(examples.start, examples.slices, batch.residual, sigma, examples.noise)
    error = found - (examples.truth - examples.start)
    unseen = examples.unseen(error)
    weight = (sigma**2 + RESIDUAL_SD**2) / (sigma * RESIDUAL_SD) ** 2
    loss = weight * mean_square(unseen) + mean_square(error - unseen) / RESIDUAL_SD**2
    return loss.clamp(max=LARGEST_LOSS).mean()


def mean_square(x: torch.Tensor) -> torch.Tensor:
    """Return the mean square of each image of a batch, shape (B,)."""
    return x.square().mean(dim=(1, 2, 3, 4))
