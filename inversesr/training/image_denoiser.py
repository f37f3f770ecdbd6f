"""The stage `image-denoiser`: trains the denoiser of complex slices that `recon` uses.

    e = D(x + sigma n, sigma) - x,      loss = mean of e^2 (sigma^2 + sd^2) / (sigma sd)^2

Noise levels are drawn uniformly in log sigma. The weight makes the estimate that knows nothing but
the variance cost about one at every level.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from inversesr.errors import InputError
from inversesr.priors.networks.image_denoiser import (
    HIGHEST_SIGMA,
    LOWEST_SIGMA,
    PART_SD,
    ImageDenoiser,
)
from inversesr.training import loop
from inversesr.training.image_examples import SliceConfig, draw_slices
from inversesr.training.initialisation import draw_weights
from inversesr.training.random import uniform
from inversesr.training.scans import read_scan, split_held_out
from inversesr.training.training_scan import TrainingScan

VALIDATION_SIGMAS = (0.02, 0.1, 0.4)
N_VALIDATION_SLICES = 16
# FreeSurfer numbers: the cortex, and where those of its regions begin.
CORTEX, FIRST_PARCEL = 3, 1000


@dataclass(frozen=True)
class ImageDenoiserShape:
    """Size of the network; see `ImageDenoiser`."""

    widths: tuple[int, ...] = (64, 80, 112)
    n_blocks: tuple[int, ...] = (2, 2, 2)
    n_embedding: int = 64

    def build(self) -> ImageDenoiser:
        """Return the untrained network."""
        return ImageDenoiser(self.widths, self.n_blocks, self.n_embedding)


@dataclass(frozen=True)
class ImageDenoiserConfig:
    """Everything about the stage that can be chosen.

    Attributes:
        shape: Size of the network.
        slices: What it is trained on.
        schedule: How long and how.
        held_out: Words in the names of scans kept for validation.
        dtype: Arithmetic inside the network; bfloat16 is faster where the hardware has it.
    """

    shape: ImageDenoiserShape = field(default_factory=ImageDenoiserShape)
    slices: SliceConfig = field(default_factory=SliceConfig)
    schedule: loop.LoopConfig = field(
        default_factory=lambda: loop.LoopConfig(n_steps=10_000, learning_rate=1e-3)
    )
    held_out: tuple[str, ...] = ()
    dtype: torch.dtype = torch.float32


def train_image_denoiser(
    data_dirs: Iterable[Path],
    config: ImageDenoiserConfig,
    output_dir: Path,
    *,
    resume: bool,
    watch: loop.Watch | None = None,
) -> ImageDenoiser:
    """Train the denoiser.

    Args:
        data_dirs: Folders of scans, and of label maps if there are any.
        config: Everything that can be chosen.
        output_dir: Receives the checkpoint and the tables of losses.
        resume: Continue from the checkpoint in output_dir, if there is one.
        watch: Called after every step.

    Returns:
        The network with averaged weights.

    Raises:
        InputError: no scan has two sharp axes.
    """
    paths, kept = split_held_out(data_dirs, config.held_out)
    scans, trials = read_planes(paths), validation_slices(read_planes(kept), config)
    if not scans:
        message = (
            "found no scan with two sharp axes; expected at least one: "
            "give --data DIR with thin-slice scans"
        )
        raise InputError(message)
    net = config.shape.build()
    draw_weights(net, torch.Generator().manual_seed(config.schedule.seed))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub
    task = loop.TrainingTask(
        net,
        lambda generator, _: draw_pair(scans, config.slices, generator),
        lambda model, batch: denoising_loss(model, batch, config.dtype),
        lambda model: validate(model, trials, config.dtype),
    )
    return loop.train(task, config.schedule, output_dir, resume=resume, watch=watch)


def read_planes(paths: Iterable[Path]) -> list[TrainingScan]:
    """Read the scans that have two sharp axes at least."""
    scans = (with_one_cortex(read_scan(path)) for path in paths)
    return [scan for scan in scans if len(scan.sharp_axes) >= 2]


def with_one_cortex(scan: TrainingScan) -> TrainingScan:
    """Give the regions into which FreeSurfer parcels the cortex its one label."""
    if not scan.is_labels:
        return scan
    voxels = torch.where(scan.voxels >= FIRST_PARCEL, CORTEX, scan.voxels)
    return replace(scan, voxels=voxels.to(torch.int16))


@dataclass(frozen=True, eq=False)
class NoisySlices:
    """Slices and their noise.

    Attributes:
        truth: Slices, shape (B, 2, X, Y).
        noise: Standard normal, the same shape.
        sigma: Noise level of each, shape (B,).
    """

    truth: torch.Tensor
    noise: torch.Tensor
    sigma: torch.Tensor

    @property
    def noisy(self) -> torch.Tensor:
        """Slices with their noise."""
        return self.truth + self.sigma[:, None, None, None] * self.noise

    def to(self, device: torch.device) -> "NoisySlices":
        """Return the batch on a device."""
        return NoisySlices(self.truth.to(device), self.noise.to(device), self.sigma.to(device))


def draw_pair(
    scans: list[TrainingScan], config: SliceConfig, generator: torch.Generator
) -> NoisySlices:
    """Draw slices and noise."""
    truth = draw_slices(scans, config, generator)
    low, high = math.log(LOWEST_SIGMA), math.log(HIGHEST_SIGMA)
    sigma = torch.tensor([math.exp(uniform(low, high, generator)) for _ in truth])
    return NoisySlices(truth, torch.randn(truth.shape, generator=generator), sigma)


def denoising_loss(net: ImageDenoiser, batch: NoisySlices, dtype: torch.dtype) -> torch.Tensor:
    """Return the error of denoised slices, weighted by their noise."""
    sigma = batch.sigma
    with torch.autocast(sigma.device.type, dtype, enabled=dtype != torch.float32):
        found = net(batch.noisy, sigma)
    weight = (sigma**2 + PART_SD**2) / (sigma * PART_SD) ** 2
    errors = (found - batch.truth).square().mean(dim=(1, 2, 3))
    loss: torch.Tensor = (weight * errors).mean()
    return loss


def validation_slices(scans: list[TrainingScan], config: ImageDenoiserConfig) -> torch.Tensor:
    """Return slices of scans that were held out, always the same; none where there are none."""
    generator = torch.Generator().manual_seed(config.schedule.seed)
    if not scans:
        return torch.zeros((0, 2, config.slices.size, config.slices.size))
    return torch.cat(
        [draw_slices(scans, config.slices, generator) for _ in range(N_VALIDATION_SLICES)]
    )[:N_VALIDATION_SLICES]


def validate(net: ImageDenoiser, trials: torch.Tensor, dtype: torch.dtype) -> dict[str, float]:
    """Return PSNR in dB of denoised slices at some noise levels, of the bright end 1."""
    figures: dict[str, float] = {}
    if not len(trials):
        return figures
    noise = torch.randn(trials.shape, generator=torch.Generator().manual_seed(0))
    for level in VALIDATION_SIGMAS:
        sigma = torch.full((len(trials),), level)
        batch = NoisySlices(trials, noise, sigma)
        with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            found = net(batch.noisy, sigma)
        error = float((found - trials).square().mean())
        figures[f"psnr_db_{level:g}"] = -10.0 * math.log10(error)
    return figures
