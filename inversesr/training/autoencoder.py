"""The stage `autoencoder`: trains a local autoencoder on scans of any contrast.

    loss = mean |e| + gradient_weight mean |D e| + kl_weight KL(q(z | x), N(0, 1)),
    e = decode(mean + sigma eps) - x

D are finite differences. Every direction of a patch is a direction that the network will meet.

Reference: Kingma, Welling (2014), Auto-encoding variational Bayes, arXiv:1312.6114.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.nn import functional

from inversesr.priors.networks.local_autoencoder import FACTOR, LocalAutoencoder, encode_whole
from inversesr.training import loop
from inversesr.training.initialisation import initialise
from inversesr.training.patches import PatchConfig, draw_patch
from inversesr.training.scans import read_scan, read_scans, split_held_out
from inversesr.training.synthetic import FIRST_OUTSIDE_BRAIN, SyntheticConfig, paint
from inversesr.training.training_scan import TrainingScan


@dataclass(frozen=True)
class AutoencoderShape:
    """Size of the network; see `LocalAutoencoder`.

    Attributes:
        latent_channels: Channels of a latent.
        widths: Channels at 1/2 and 1/4 of the resolution.
        encoder_blocks: Residual blocks at each of these in the encoder.
        decoder_blocks: Residual blocks at each of these in the decoder.
    """

    latent_channels: int = 8
    widths: tuple[int, int] = (32, 96)
    encoder_blocks: tuple[int, int] = (1, 3)
    decoder_blocks: tuple[int, int] = (2, 3)

    def build(self) -> LocalAutoencoder:
        """Return the untrained network."""
        return LocalAutoencoder(
            self.latent_channels, self.widths, self.encoder_blocks, self.decoder_blocks
        )


@dataclass(frozen=True)
class AutoencoderConfig:
    """Everything about the stage that can be chosen.

    Attributes:
        shape: Size of the network.
        patches: What it is trained on; their degradation is not used.
        schedule: How long and how.
        held_out: Words in the names of scans kept for validation.
        dtype: Arithmetic inside the network; bfloat16 is faster where the hardware has it.
        gradient_weight: Weight of the finite differences.
        kl_weight: Weight of the divergence from a standard normal, by latent number.
    """

    shape: AutoencoderShape = field(default_factory=AutoencoderShape)
    patches: PatchConfig = field(
        default_factory=lambda: PatchConfig(shape=(48, 48, 48), n_patches=2)
    )
    schedule: loop.LoopConfig = field(default_factory=loop.LoopConfig)
    held_out: tuple[str, ...] = ()
    dtype: torch.dtype = torch.float32
    gradient_weight: float = 0.5
    kl_weight: float = 1e-5


def train_autoencoder(
    data_dirs: Iterable[Path],
    config: AutoencoderConfig,
    output_dir: Path,
    *,
    resume: bool,
    watch: loop.Watch | None = None,
) -> LocalAutoencoder:
    """Train the autoencoder.

    Args:
        data_dirs: Folders of scans, and of label maps if there are any.
        config: Everything that can be chosen.
        output_dir: Receives the checkpoint and the tables of losses.
        resume: Continue from the checkpoint in output_dir, if there is one.
        watch: Called after every step.

    Returns:
        The network with averaged weights.
    """
    paths, kept = split_held_out(data_dirs, config.held_out)
    scans = read_scans(paths)
    examples = [whole_scan(read_scan(path), n) for n, path in enumerate(kept)]
    net = initialise(config.shape.build(), config.schedule.seed)
    task = loop.TrainingTask(
        net,
        lambda generator, _: draw_example(scans, config, generator),
        lambda model, batch: autoencoder_loss(model, batch, config),
        lambda model: validate(model, examples, config.dtype),
    )
    return loop.train(task, config.schedule, output_dir, resume=resume, watch=watch)


@dataclass(frozen=True, eq=False)
class Example:
    """Patches, shape (B, 1, X, Y, Z), and the unit noise of their latents, (B, C, X/4, ...)."""

    x: torch.Tensor
    eps: torch.Tensor


def draw_example(
    scans: list[TrainingScan], config: AutoencoderConfig, generator: torch.Generator
) -> Example:
    """Draw patches in every orientation, and noise."""
    patches = [
        draw_patch(scans, config.patches, generator) for _ in range(config.patches.n_patches)
    ]
    # all alike, so that they can be stacked whatever the lengths of a patch
    axes = torch.randperm(3, generator=generator).tolist()
    x = torch.stack(patches).permute(0, *(1 + axis for axis in axes))[:, None].contiguous()
    shape = (len(x), config.shape.latent_channels, *(n // FACTOR for n in x.shape[2:]))
    return Example(x, torch.randn(shape, generator=generator))


def autoencoder_loss(
    net: LocalAutoencoder, batch: Example, config: AutoencoderConfig
) -> torch.Tensor:
    """Return the error of noisy reconstructions plus the weighted divergence of the latents."""
    with torch.autocast(batch.x.device.type, config.dtype, enabled=is_mixed(config.dtype)):
        mean, sigma = net.encode(batch.x)
        x = net.decode(mean + sigma * batch.eps)
    error = reconstruction_error(x - batch.x, config.gradient_weight)
    return error + config.kl_weight * divergence(mean, sigma)


def reconstruction_error(error: torch.Tensor, gradient_weight: float) -> torch.Tensor:
    """Return the mean absolute error, and that of finite differences along each axis."""
    loss = error.abs().mean()
    for axis in (2, 3, 4):
        loss = loss + gradient_weight / 3.0 * error.diff(dim=axis).abs().mean()
    return loss


def is_mixed(dtype: torch.dtype) -> bool:
    """Whether networks compute in another type than their weights have."""
    return dtype != torch.float32


def divergence(mean: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Return the mean Kullback-Leibler divergence of N(mean, sigma^2) from N(0, 1)."""
    return 0.5 * (mean**2 + sigma**2 - 1.0 - 2.0 * sigma.log()).mean()


def whole_scan(scan: TrainingScan, number: int, multiple: int = FACTOR) -> torch.Tensor:
    """Return a held-out scan in [0, 1], padded to a multiple, shape (X, Y, Z)."""
    if scan.is_labels:
        brain = torch.where(scan.voxels < FIRST_OUTSIDE_BRAIN, scan.voxels, 0)
        image = paint(brain, SyntheticConfig(), torch.Generator().manual_seed(number))
    else:
        image = scan.voxels.float() / scan.white
    return functional.pad(image, [m for n in reversed(image.shape) for m in (0, -n % multiple)])


def validate(
    net: LocalAutoencoder, examples: list[torch.Tensor], dtype: torch.dtype
) -> dict[str, float]:
    """Return the PSNR in dB within the brain of each held-out scan, data range 1."""
    return {f"psnr_db_{n}": reconstruction_psnr(net, x, dtype) for n, x in enumerate(examples)}


def reconstruction_psnr(net: LocalAutoencoder, x: torch.Tensor, dtype: torch.dtype) -> float:
    """Encode and decode a scan, shape (X, Y, Z); compare where it is not background."""
    with torch.no_grad(), torch.autocast(x.device.type, dtype, enabled=is_mixed(dtype)):
        found = net.decode(encode_whole(net, x[None, None]))[0, 0]
    error = (found - x)[x > 0].double().square().mean()
    return -10.0 * math.log10(max(float(error), 1e-12))
