"""The prior's denoiser, from high noise to low, made consistent with the samples at every level.

    d = D(x, sigma_k),      x = argmin |A x - y|^2 / s^2 + w |x - d|^2 / sigma_k^2

`consistency` is how far samples are trusted. `adaptive`: s is the noise of the samples, so once
the denoiser's level falls below it the samples count less and less, and their noise is not copied
into the image. `plain`: s is far below sigma_k at every level, as if samples had no noise.

A posterior sample begins from noise, and noise is drawn anew at every level: of the samples within
the argmin, and of the next level behind it.

Reference: Huang, Schramm, et al. (2024), Noise level adaptive diffusion model for robust
reconstruction of accelerated MRI, arXiv:2403.05245, for consistency by the level of noise; Zhang,
Li, Zuo, Zhang, Van Gool, Timofte (2021), doi:10.1109/TPAMI.2021.3088914, for the image; Zhu,
Zhang, Liang, Cao, Wen, Timofte, Van Gool (2023), Denoising diffusion models for plug-and-play
image restoration, arXiv:2305.08995, for samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inversesr.config import check_fields, option
from inversesr.errors import InputError
from inversesr.measurements.kspace import KSpaceMeasurement
from inversesr.operators.conjugate_gradient import Effort, least_squares
from inversesr.operators.inner_product import white_noise
from inversesr.operators.proximal import prox, sample_posterior
from inversesr.priors.networks.build import fast_dtype
from inversesr.priors.networks.image_denoiser import PART_SD, ROLE, ImageDenoiser
from inversesr.solvers.kspace.protocol import Entry, Reconstruction, Request

# Samples that are trusted wholly have this share of the level as their noise.
PLAIN_SHARE = 0.05
# No samples are trusted below this share of the level, for the sake of the equations.
LEAST_SHARE = 0.02
TOLERANCE = 1e-3
# The denoiser's error was 0.010, 0.032 and 0.070 at levels of 0.02, 0.1 and 0.4.
ERROR_FACTOR, ERROR_POWER = 0.13, 0.65
# Slices that are denoised at once.
BATCH = 8
N_FIRST_STEPS, LEAST_DAMPING = 15, 1e-3

# (x, sigma, step) -> the mean of the image
Denoise = Callable[[Tensor, float, int], Tensor]


@dataclass(frozen=True)
class Diffusion:
    """Options of `diffusion`.

    Raises:
        InputError: a value is outside its range.
    """

    n_steps: int = option(16, "Noise levels.", least=2)
    sigma_high: float = option(0.4, "Highest level, the image's bright end 1.", above=0, most=1)
    sigma_low: float = option(0.004, "Lowest level.", above=0)
    weight: float = option(0.4, "Weight of the prior's image.", above=0)
    cg_steps: int = option(10, "Conjugate gradients a level.", least=1)
    consistency: str = option(
        "adaptive", "How far samples are trusted.", choices=("adaptive", "plain")
    )
    sample_steps: int = option(30, "Noise levels of a posterior sample.", least=2)
    sample_sigma_high: float = option(0.7, "Highest level of a sample.", above=0, most=1)

    def __post_init__(self) -> None:
        check_fields(self, "solver.")


def reconstruct(measurement: KSpaceMeasurement, request: Request) -> Reconstruction:
    """Return the image, and posterior samples if they are wanted.

    Raises:
        InputError: there is no prior, or it has no denoiser of images.
    """
    if request.prior is None:
        message = "diffusion needs a prior; expected --prior NAME"
        raise InputError(message)
    net = request.prior.image_denoiser(measurement.y.device)
    options: Diffusion = request.options
    total = options.n_steps + request.n_samples * options.sample_steps
    done = [0]

    def denoise(x: Tensor, sigma: float, step: int) -> Tensor:
        done[0] += 1
        request.progress("diffusion", done[0], total)
        return denoise_slices(net, x, sigma, slice_axis(measurement, step))

    x = restore(measurement, options, denoise)
    samples = tuple(
        draw(measurement, options, denoise, torch.Generator().manual_seed(request.seed + n))
        for n in range(request.n_samples)
    )
    return Reconstruction(x, f"stopped after {total} levels", total, samples)


def restore(measurement: KSpaceMeasurement, options: Diffusion, denoise: Denoise) -> Tensor:
    """Return the image to which alternating denoising and consistency lead."""
    x = first_guess(measurement)
    levels = levels_of(options.n_steps, options.sigma_high, options.sigma_low)
    for step, sigma in enumerate(levels):
        x = consistent(measurement, options, denoise(x, sigma, step), sigma)
    return x


def draw(
    measurement: KSpaceMeasurement,
    options: Diffusion,
    denoise: Denoise,
    generator: torch.Generator,
) -> Tensor:
    """Draw an image from the posterior, approximately."""
    levels = levels_of(options.sample_steps, options.sample_sigma_high, options.sigma_low)
    x = first_guess(measurement)
    x = x + levels[0] * white_noise(x, generator)
    effort = Effort(TOLERANCE, options.cg_steps)
    for step, sigma in enumerate(levels):
        mean = denoise(x, sigma, step)
        r2 = error_of(sigma) ** 2
        s2 = noise_variance(measurement.sigma, options, sigma)
        drawn = sample_posterior(measurement.A, mean, measurement.y, (r2, s2), generator, effort).x
        following = levels[step + 1] if step + 1 < len(levels) else 0.0
        x = drawn + following * white_noise(drawn, generator) if following else drawn
    return x


def consistent(
    measurement: KSpaceMeasurement, options: Diffusion, mean: Tensor, sigma: float
) -> Tensor:
    """Return the image between the denoiser's and the samples."""
    s2 = noise_variance(measurement.sigma, options, sigma)
    r2 = sigma**2 / options.weight
    effort = Effort(TOLERANCE, options.cg_steps)
    return prox(measurement.A, mean, measurement.y, r2, s2, effort).x


def noise_variance(noise: float, options: Diffusion, sigma: float) -> float:
    """Return the variance that samples are taken to have at a level."""
    if options.consistency == "plain":
        return (PLAIN_SHARE * sigma) ** 2
    return max(noise**2, (LEAST_SHARE * sigma) ** 2)


def error_of(sigma: float) -> float:
    """Return about how far the denoiser's image is off, by its noise; fitted to held-out heads."""
    return float(min(ERROR_FACTOR * sigma**ERROR_POWER, sigma))


def first_guess(measurement: KSpaceMeasurement) -> Tensor:
    """Return the image of least squares, damped."""
    damping = max((measurement.sigma / PART_SD) ** 2, LEAST_DAMPING)
    effort = Effort(TOLERANCE, N_FIRST_STEPS)
    return least_squares(measurement.A, measurement.y, damping, effort).d


def levels_of(n: int, high: float, low: float) -> list[float]:
    """Return n levels that fall by equal factors."""
    low = min(low, high)
    return [float(high * (low / high) ** (k / (n - 1))) for k in range(n)]


def slice_axis(measurement: KSpaceMeasurement, step: int) -> int:
    """Return across which axis slices are denoised: in 3D each axis in turn."""
    if len(measurement.encoded) == 3:
        return (2, 1, 0)[step % 3]
    return next(axis for axis in range(3) if axis not in measurement.encoded)


def denoise_slices(net: ImageDenoiser, x: Tensor, sigma: float, axis: int) -> Tensor:
    """Denoise a complex volume slice by slice across an axis.

    Args:
        net: Denoiser of slices.
        x: Complex, shape (X, Y, Z).
        sigma: Noise of either part.
        axis: Axis across the slices.
    """
    pairs = torch.view_as_real(x.movedim(axis, 0).contiguous()).movedim(-1, 1)
    dtype = fast_dtype(x.device)
    found = []
    for batch in torch.split(pairs, BATCH):
        levels = torch.full((len(batch),), sigma, device=x.device)
        with (
            torch.no_grad(),
            torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32),
        ):
            found.append(net(batch, levels))
    mean = torch.cat(found).movedim(1, -1).contiguous()
    return torch.view_as_complex(mean).movedim(0, axis).contiguous()


METHOD = Entry(
    "The prior's denoiser with consistency by the noise.",
    Diffusion,
    reconstruct,
    role=ROLE,
    draws_samples=True,
)
