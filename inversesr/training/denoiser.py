"""The stage `denoiser`: teaches a local denoiser what latents of heads look like.

    loss = mean |N(z_t, t) - v|^2,   z_t = a z + b eps,   v = a eps - b z,   a^2 + b^2 = 1

z are crops of latents that a trained autoencoder made of whole scans, whitened by channel. Scans
are mirrored, turned and changed in contrast before they are encoded, since an encoder is not
quite the same in a mirror.

Reference: Salimans, Ho (2022), Progressive distillation for fast sampling of diffusion models,
arXiv:2202.00512.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch.nn import functional

from inversesr.priors.card import ScheduleCard
from inversesr.priors.networks.local_autoencoder import FACTOR, LocalAutoencoder, encode_whole
from inversesr.priors.networks.local_denoiser import LocalDenoiser
from inversesr.priors.schedule import Schedule, make_schedule
from inversesr.priors.store import write_text
from inversesr.training import distributed as processes
from inversesr.training import loop
from inversesr.training.gaussian_latents import SIGMAS, StationaryGaussian, fit
from inversesr.training.initialisation import make_ready
from inversesr.training.patches import orient, vary_contrast
from inversesr.training.random import integer
from inversesr.training.scans import Scan, held_back, read_scans
from inversesr.training.synthetic import SyntheticConfig, paint

LATENTS_NAME = "latents.json"
# crops that tell mean, variance and spectrum of latents, and crops of each held-out scan
N_MEASURED_CROPS = 256
N_VALIDATION_CROPS = 4


@dataclass(frozen=True)
class DenoiserShape:
    """Size of the network; see `LocalDenoiser`.

    Attributes:
        widths: Channels at 1, 1/2 and 1/4 of the latent's resolution.
        n_blocks: Residual blocks at each of these, on the way down and again on the way up.
        n_embedding: Length of the vector that describes the timestep.
    """

    widths: tuple[int, ...] = (64, 128, 192)
    n_blocks: tuple[int, ...] = (2, 2, 3)
    n_embedding: int = 128

    def build(self, channels: int) -> LocalDenoiser:
        """Return the untrained network for latents of so many channels."""
        return LocalDenoiser(channels, self.widths, self.n_blocks, self.n_embedding)


@dataclass(frozen=True)
class DenoiserConfig:
    """Everything about the stage that can be chosen.

    Attributes:
        shape: Size of the network.
        noise: Noise levels.
        crop: Length of a crop in latent voxels.
        n_crops: Crops in a batch.
        n_passes: How often every scan is encoded, each time with another contrast and pose.
        margin: Largest empty margin around a scan in voxels.
        contrast: How varied painted label maps are.
        schedule: How long and how.
        held_out: Words in the names of scans kept for validation.
        dtype: Arithmetic inside the networks; bfloat16 is faster where the hardware has it.
        recompute: Save memory: compute features again in the backward pass.
    """

    shape: DenoiserShape = field(default_factory=DenoiserShape)
    noise: ScheduleCard = field(
        default_factory=lambda: ScheduleCard(
            "shifted_cosine", 1000, "v", "trailing", {"shift": 0.5}
        )
    )
    crop: int = 24
    n_crops: int = 2
    n_passes: int = 2
    margin: int = 16
    contrast: SyntheticConfig = field(default_factory=SyntheticConfig)
    schedule: loop.LoopConfig = field(default_factory=loop.LoopConfig)
    held_out: tuple[str, ...] = ()
    dtype: torch.dtype = torch.float32
    recompute: bool = False


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


@dataclass(frozen=True, eq=False)
class NoisyBatch:
    """Noisy latents, shape (B, C, X, Y, Z), their timesteps (B,) and what is to be predicted."""

    z_t: torch.Tensor
    t: torch.Tensor
    v: torch.Tensor


def train_denoiser(
    data_dirs: Iterable[Path],
    autoencoder: LocalAutoencoder,
    config: DenoiserConfig,
    output_dir: Path,
    *,
    resume: bool,
    watch: loop.Watch | None = None,
) -> tuple[LocalDenoiser, Latents]:
    """Train the denoiser.

    Args:
        data_dirs: Folders of scans, and of label maps if there are any.
        autoencoder: Trained network.
        config: Everything that can be chosen.
        output_dir: Receives latents.json, the checkpoint and the tables of losses.
        resume: Continue from the checkpoint in output_dir, if there is one.
        watch: Called after every step.

    Returns:
        The network with averaged weights, and the latents on which it was trained.
    """
    paths, kept = held_back(data_dirs, config.held_out)
    autoencoder.eval().requires_grad_(requires_grad=False)
    scans = read_scans(paths)
    latents = encode_scans(autoencoder, scans, config)
    write_statistics(latents, config.noise, output_dir)
    net = make_ready(config.shape.build(len(latents.mean)), config.schedule.seed)
    net.recomputes = config.recompute
    schedule = make_schedule(config.noise)
    trial = make_trial(autoencoder, read_scans(kept), latents, config)
    task = loop.Task(
        net,
        lambda generator, _: draw_noisy(latents, schedule, config, generator),
        lambda model, batch: denoiser_loss(model, batch, config.dtype),
        lambda model: validate(model, trial, schedule, config.dtype),
    )
    net = loop.train(task, config.schedule, output_dir, resume=resume, watch=watch)
    return net, latents


def encode_scans(
    autoencoder: LocalAutoencoder, scans: list[Scan], config: DenoiserConfig
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
    if processes.rank() != 0:
        return
    output_dir.mkdir(parents=True, exist_ok=True)
    statistics = {"mean": latents.mean.tolist(), "std": latents.std.tolist()}
    record = {"statistics": statistics, "schedule": asdict(noise)}
    write_text(output_dir / LATENTS_NAME, json.dumps(record, indent=2) + "\n")


def vary_scan(scan: Scan, config: DenoiserConfig, generator: torch.Generator) -> torch.Tensor:
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


def draw_noisy(
    latents: Latents, schedule: Schedule, config: DenoiserConfig, generator: torch.Generator
) -> NoisyBatch:
    """Draw crops, a timestep for each, and noise."""
    z = draw_crops(latents, config.n_crops, config.crop, generator)
    t = torch.randint(schedule.n_levels, (config.n_crops,), generator=generator)
    eps = torch.randn(z.shape, generator=generator)
    a, b = (
        level[t].float()[:, None, None, None, None] for level in (schedule.signal, schedule.noise)
    )
    return NoisyBatch(a * z + b * eps, t, a * eps - b * z)


def denoiser_loss(net: LocalDenoiser, batch: NoisyBatch, dtype: torch.dtype) -> torch.Tensor:
    """Return the mean squared error of the prediction."""
    with torch.autocast(batch.z_t.device.type, dtype, enabled=dtype != torch.float32):
        v = net(batch.z_t, batch.t)
    loss: torch.Tensor = (v.float() - batch.v).square().mean()
    return loss


@dataclass(frozen=True, eq=False)
class Trial:
    """Held-out crops, their noise, and the Gaussian that the denoiser has to beat.

    Attributes:
        crops: Whitened latents, shape (B, C, X, Y, Z); none without held-out scans.
        eps: Unit noise of the same shape.
        gaussian: Fitted to crops of the training scans.
    """

    crops: torch.Tensor
    eps: torch.Tensor
    gaussian: StationaryGaussian


def make_trial(
    autoencoder: LocalAutoencoder, held_out: list[Scan], latents: Latents, config: DenoiserConfig
) -> Trial:
    """Encode held-out scans, cut crops from them, and fit the Gaussian to the training scans."""
    generator = torch.Generator().manual_seed(config.schedule.seed)
    gaussian = fit(draw_crops(latents, N_MEASURED_CROPS, config.crop, generator))
    volumes = []
    for scan in held_out:
        image = vary_scan(scan, config, generator)
        volumes.append(encode(autoencoder, image, config.dtype))
    own = Latents(volumes, latents.mean, latents.std)
    n_crops = N_VALIDATION_CROPS * len(volumes)
    if n_crops == 0:
        return Trial(torch.empty(0), torch.empty(0), gaussian)
    crops = draw_crops(own, n_crops, config.crop, generator)
    return Trial(crops, torch.randn(crops.shape, generator=generator), gaussian)


def validate(
    net: LocalDenoiser, trial: Trial, schedule: Schedule, dtype: torch.dtype
) -> dict[str, float]:
    """Return mean squared errors of the clean latent by noise level.

    Returns:
        For every ratio of noise to signal: the error of the network, of the best denoiser for
        white Gaussian latents and of that for stationary Gaussian latents.
    """
    figures: dict[str, float] = {}
    if not len(trial.crops):
        return figures
    for sigma in SIGMAS:
        t = schedule.timestep_of(sigma)
        a, b = schedule.level(t)
        z_t = a * trial.crops + b * trial.eps
        found = {
            "network": a * z_t - b * predict(net, z_t, t, dtype),
            "white": trial.gaussian.whitened().denoise(z_t, a, b),
            "stationary": trial.gaussian.denoise(z_t, a, b),
        }
        for name, z in found.items():
            figures[f"{name}_{sigma:g}"] = float((z - trial.crops).square().mean())
    return figures


def predict(net: LocalDenoiser, z_t: torch.Tensor, t: int, dtype: torch.dtype) -> torch.Tensor:
    """Return the network's predictions, one latent after the other to save memory."""
    timestep = torch.tensor([t])
    with torch.no_grad(), torch.autocast(z_t.device.type, dtype, enabled=dtype != torch.float32):
        return torch.cat([net(z[None], timestep).float() for z in z_t])
