"""The stage `denoiser`: trains a local denoiser on latents of heads.

    loss = mean |N(z_t, t) - v|^2,   z_t = a z + b eps,   v = a eps - b z,   a^2 + b^2 = 1

z are crops of latents that a trained autoencoder made of whole scans, whitened by channel.

Reference: Salimans, Ho (2022), Progressive distillation for fast sampling of diffusion models,
arXiv:2202.00512.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from inversesr.priors.networks.local_autoencoder import LocalAutoencoder
from inversesr.priors.networks.local_denoiser import LocalDenoiser
from inversesr.priors.schedule import Schedule, make_schedule
from inversesr.training import loop
from inversesr.training.denoiser_config import DenoiserConfig
from inversesr.training.denoiser_validation import make_validation_crops, validate
from inversesr.training.initialisation import initialise
from inversesr.training.latents import (
    Latents,
    draw_crops,
    encode_scans,
    write_statistics,
)
from inversesr.training.scans import read_scans, split_held_out


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
    paths, kept = split_held_out(data_dirs, config.held_out)
    autoencoder.eval().requires_grad_(requires_grad=False)
    scans = read_scans(paths)
    latents = encode_scans(autoencoder, scans, config)
    write_statistics(latents, config.noise, output_dir)
    net = initialise(config.shape.build(len(latents.mean)), config.schedule.seed)
    net.recomputes = config.recompute
    schedule = make_schedule(config.noise)
    trial = make_validation_crops(autoencoder, read_scans(kept), latents, config)
    task = loop.TrainingTask(
        net,
        lambda generator, _: draw_noisy(latents, schedule, config, generator),
        lambda model, batch: denoiser_loss(model, batch, config.dtype),
        lambda model: validate(model, trial, schedule, config.dtype),
    )
    net = loop.train(task, config.schedule, output_dir, resume=resume, watch=watch)
    return net, latents


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
