"""How well a denoiser does on held-out latents, beside the best Gaussian ones."""

from dataclasses import dataclass

import torch

from inversesr.priors.networks.local_autoencoder import LocalAutoencoder
from inversesr.priors.networks.local_denoiser import LocalDenoiser
from inversesr.priors.schedule import Schedule
from inversesr.training.denoiser_config import DenoiserConfig
from inversesr.training.gaussian_latents import SIGMAS, StationaryGaussian, fit
from inversesr.training.latents import (
    N_MEASURED_CROPS,
    Latents,
    draw_crops,
    encode,
    vary_scan,
)
from inversesr.training.training_scan import TrainingScan

# crops of each held-out scan
N_VALIDATION_CROPS = 4


@dataclass(frozen=True, eq=False)
class ValidationCrops:
    """Held-out crops, their noise, and the Gaussian that the denoiser has to beat.

    Attributes:
        crops: Whitened latents, shape (B, C, X, Y, Z); none without held-out scans.
        eps: Unit noise of the same shape.
        gaussian: Fitted to crops of the training scans.
    """

    crops: torch.Tensor
    eps: torch.Tensor
    gaussian: StationaryGaussian


def make_validation_crops(
    autoencoder: LocalAutoencoder,
    held_out: list[TrainingScan],
    latents: Latents,
    config: DenoiserConfig,
) -> ValidationCrops:
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
        return ValidationCrops(torch.empty(0), torch.empty(0), gaussian)
    crops = draw_crops(own, n_crops, config.crop, generator)
    return ValidationCrops(crops, torch.randn(crops.shape, generator=generator), gaussian)


def validate(
    net: LocalDenoiser, held_out: ValidationCrops, schedule: Schedule, dtype: torch.dtype
) -> dict[str, float]:
    """Return mean squared errors of the clean latent by noise level.

    Returns:
        For every ratio of noise to signal: the error of the network, of the best denoiser for
        white Gaussian latents and of that for stationary Gaussian latents.
    """
    figures: dict[str, float] = {}
    if not len(held_out.crops):
        return figures
    for sigma in SIGMAS:
        t = schedule.timestep_of(sigma)
        a, b = schedule.level(t)
        z_t = a * held_out.crops + b * held_out.eps
        found = {
            "network": a * z_t - b * predict(net, z_t, t, dtype),
            "white": held_out.gaussian.whitened().denoise(z_t, a, b),
            "stationary": held_out.gaussian.denoise(z_t, a, b),
        }
        for name, z in found.items():
            figures[f"{name}_{sigma:g}"] = float((z - held_out.crops).square().mean())
    return figures


def predict(net: LocalDenoiser, z_t: torch.Tensor, t: int, dtype: torch.dtype) -> torch.Tensor:
    """Return the network's predictions, one latent after the other to save memory."""
    timestep = torch.tensor([t])
    with torch.no_grad(), torch.autocast(z_t.device.type, dtype, enabled=dtype != torch.float32):
        return torch.cat([net(z[None], timestep).float() for z in z_t])
