"""Latents of training scans: encoded in several poses and contrasts, and cut into crops.

Scans are mirrored, turned and changed in contrast before they are encoded, since an encoder is
not quite the same in a mirror.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch.nn import functional

from inversesr.priors.card import ScheduleCard
from inversesr.priors.networks.local_autoencoder import FACTOR, LocalAutoencoder, encode_whole
from inversesr.priors.store import write_text
from inversesr.training import distributed
from inversesr.training.denoiser_config import DenoiserConfig
from inversesr.training.patches import orient, vary_contrast
from inversesr.training.random import integer
from inversesr.training.synthetic import paint
from inversesr.training.training_scan import TrainingScan

LATENTS_NAME = "latents.json"
# crops that tell mean, variance and spectrum of latents
N_MEASURED_CROPS = 256


@dataclass(frozen=True, eq=False)
class Latents:
    """Latents of whole scans as the autoencoder makes them, and their statistics by channel.

    Attributes:
        volumes: Latents, each of shape (C, X, Y, Z), float16.
        mean: Mean over crops of the volumes, shape (C,).
        std: Standard deviation, likewise.
    """

    volumes: list[torch.Tensor]
    mean: torch.Tensor
    std: torch.Tensor

    def whitened(self, crop: torch.Tensor) -> torch.Tensor:
        """Return latents (..., C, X, Y, Z) of mean 0 and standard deviation 1 by channel."""
        mean, std = (v[:, None, None, None] for v in (self.mean, self.std))
        return (crop.float() - mean) / std


def encode_scans(
    autoencoder: LocalAutoencoder, scans: list[TrainingScan], config: DenoiserConfig
) -> Latents:
    """Encode every scan several times, each time in another contrast and pose."""
    generator = torch.Generator().manual_seed(config.schedule.seed)
    volumes = []
    for _ in range(config.n_passes):
        for scan in scans:
            image = vary_scan(scan, config, generator)
            volumes.append(encode(autoencoder, image, config.dtype))
    n_channels = len(volumes[0])
    raw = Latents(volumes, torch.zeros(n_channels), torch.ones(n_channels))
    # of crops, not of volumes: the middle of a head is in more crops than the air around it
    crops = draw_crops(raw, N_MEASURED_CROPS, config.crop, generator).transpose(0, 1).flatten(1)
    return Latents(volumes, crops.mean(1), crops.std(1).clamp(min=1e-6))


def write_statistics(latents: Latents, noise: ScheduleCard, output_dir: Path) -> None:
    """Write latents.json: how latents are whitened and made noisy, which a prior must repeat."""
    if distributed.rank() != 0:
        return
    output_dir.mkdir(parents=True, exist_ok=True)
    statistics = {"mean": latents.mean.tolist(), "std": latents.std.tolist()}
    record = {"statistics": statistics, "schedule": asdict(noise)}
    write_text(output_dir / LATENTS_NAME, json.dumps(record, indent=2) + "\n")


def vary_scan(
    scan: TrainingScan, config: DenoiserConfig, generator: torch.Generator
) -> torch.Tensor:
    """Mirror and turn a scan, give it another contrast and an empty margin, shape (X, Y, Z)."""
    voxels = orient(scan, generator)
    if scan.is_labels:
        image = paint(voxels, config.contrast, generator)
    else:
        image = vary_contrast(voxels.float() / scan.white, generator)
    padding = [integer(config.margin + 1, generator) for _ in range(6)]
    image = functional.pad(image, padding)
    least = FACTOR * config.crop
    lengths = [max(least, n + -n % FACTOR) for n in image.shape]
    ends = [m for n, k in zip(image.shape, lengths, strict=True) for m in (k - n, 0)]
    return functional.pad(image, ends[::-1])


def encode(autoencoder: LocalAutoencoder, image: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the latent of an image, shape (C, X / 4, Y / 4, Z / 4), float16."""
    with torch.autocast(image.device.type, dtype, enabled=dtype != torch.float32):
        return encode_whole(autoencoder, image[None, None])[0].half()


def draw_crops(
    latents: Latents, n_crops: int, length: int, generator: torch.Generator
) -> torch.Tensor:
    """Draw whitened crops, shape (n_crops, C, length, length, length)."""
    crops = []
    for _ in range(n_crops):
        volume = latents.volumes[integer(len(latents.volumes), generator)]
        crops.append(cut_latent(volume, length, generator))
    return latents.whitened(torch.stack(crops))


def cut_latent(volume: torch.Tensor, length: int, generator: torch.Generator) -> torch.Tensor:
    """Cut a cube at a random place of a latent, shape (C, X, Y, Z)."""
    corner = [integer(n - length + 1, generator) for n in volume.shape[1:]]
    return volume[(slice(None), *(slice(c, c + length) for c in corner))]
