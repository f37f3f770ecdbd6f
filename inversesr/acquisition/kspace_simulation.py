"""Undersampled k-space of several coils, made from an image.

y_k = S F (c_k b m exp(i p)) + sigma n,      m the image, p a smooth phase, c_k a ring of coils
"""

import math
from dataclasses import dataclass

import numpy as np
import torch

from inversesr.acquisition.kspace_choices import KSpaceSimulation
from inversesr.acquisition.kspace_masks import make_mask
from inversesr.errors import InputError
from inversesr.io.kspace.record import KSpace
from inversesr.operators.fourier import Fourier
from inversesr.operators.inner_product import white_noise
from inversesr.volume import Volume

# Distance of the coils from the middle, and how far each sees, in half sides of the image.
RING, REACH = 1.35, 1.1
# Bright end of the image: this percentile of what is not zero.
BRIGHT_PERCENTILE = 99.9
PHASE_KNOTS, PHASE_SD = 3, 1.0


@dataclass(frozen=True, eq=False)
class Simulated:
    """What was simulated.

    Attributes:
        kspace: The data.
        truth: The complex image, shape (X, Y, Z), combined by sum of squares: what a full scan
            without noise gives.
        maps: Sensitivities, sum |c|^2 = 1, shape (n_coils, X, Y, Z).
        sigma: Noise of each part of a sample.
    """

    kspace: KSpace
    truth: torch.Tensor
    maps: torch.Tensor
    sigma: float


def simulate_kspace(volume: Volume, config: KSpaceSimulation) -> Simulated:
    """Make k-space of an image whose slices lie across its last axis, or of a 3D scan.

    Args:
        volume: The image; intensities of at least 0.
        config: What the scanner does.

    Raises:
        InputError: the image is empty.
    """
    m = torch.from_numpy(np.asarray(volume.data, dtype=np.float32)).clamp(min=0.0)
    if not bool((m > 0).any()):
        message = "the image holds nothing above 0; expected a head"
        raise InputError(message)
    bright = float(np.percentile(m[m > 0].numpy(), BRIGHT_PERCENTILE))
    generator = torch.Generator().manual_seed(config.seed)
    shape = tuple(m.shape)
    x = m * torch.exp(1j * draw_phase(shape, generator))
    maps = ring_of_coils(config.coils, (shape[0], shape[1], shape[2]))
    encoded = (0, 1, 2) if config.is_3d else (0, 1)
    fourier = Fourier((config.coils, *shape), tuple(axis - 3 for axis in encoded))
    sigma = config.noise * bright
    y = fourier(maps * x)
    y = y + sigma * white_noise(y, generator)
    plane = (shape[1], shape[2]) if config.is_3d else (shape[0], shape[1])
    flat = make_mask(config.mask, plane, config.acceleration, config.calibration, config.seed)
    mask = np.broadcast_to(flat[None] if config.is_3d else flat[..., None], shape)
    samples = np.where(mask, y.numpy(), 0).astype(np.complex64)
    noise = None
    if config.noise > 0:
        scan = torch.zeros((config.coils, config.noise_scan), dtype=torch.complex64)
        noise = (sigma * white_noise(scan, generator)).numpy() if config.noise_scan else None
    kspace = KSpace(samples, mask.copy(), encoded, noise, grid=volume.grid)
    return Simulated(kspace, x, maps, sigma)


def ring_of_coils(n_coils: int, shape: tuple[int, int, int]) -> torch.Tensor:
    """Return sensitivities of coils on a ring about the image's third axis.

    Each falls off with the distance and has a phase that turns across the image. Along the third
    axis every second coil lies higher.

    Args:
        n_coils: Number of coils; a single one sees everything alike.
        shape: Voxels.

    Returns:
        Complex, shape (n_coils, X, Y, Z), sum |c|^2 = 1.
    """
    if n_coils == 1:
        return torch.ones((1, *shape), dtype=torch.complex64)
    axes = [(torch.arange(n) - (n - 1) / 2.0) / max((n - 1) / 2.0, 1.0) for n in shape]
    u, v, w = torch.meshgrid(*axes, indexing="ij")
    found = []
    for n in range(n_coils):
        angle = 2.0 * math.pi * n / n_coils
        place = (RING * math.cos(angle), RING * math.sin(angle), 0.4 if n % 2 else -0.4)
        squared = (u - place[0]) ** 2 + (v - place[1]) ** 2 + (w - place[2]) ** 2
        phase = 0.8 * (u * math.sin(angle) - v * math.cos(angle)) + angle
        found.append((-squared / (2.0 * REACH**2)).exp() * torch.exp(1j * phase))
    maps = torch.stack(found)
    return maps / maps.abs().square().sum(0).sqrt()


def draw_phase(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Draw a smooth phase in radians."""
    knots = PHASE_SD * torch.randn((1, 1, *[PHASE_KNOTS] * 3), generator=generator)
    return torch.nn.functional.interpolate(
        knots, size=list(shape), mode="trilinear", align_corners=True
    )[0, 0]
