"""Samples of what thick slices do not show, by a denoiser that is told what they show.

    r_1 = sigma_1 P n,      d = P D(r_k, sigma_k),      r_(k+1) = d + sigma_(k+1)/sigma_k (r_k - d)

P projects on what no slice shows, so each sample is consistent with the slices. This is the
probability flow of the denoiser in equal steps of log sigma: the start alone is random.

Reference: Song, Meng, Ermon (2021), Denoising diffusion implicit models, arXiv:2010.02502; Karras,
Aittala, Aila, Laine (2022), arXiv:2206.00364, algorithm 1 without its correction.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from inversesr.priors.networks.conditional_denoiser import HIGHEST_SIGMA, LOWEST_SIGMA

# (r_sigma, sigma) -> the mean of r
Denoise = Callable[[Tensor, float], Tensor]
Projection = Callable[[Tensor], Tensor]


def noise_levels(
    n_steps: int, highest: float = HIGHEST_SIGMA, lowest: float = LOWEST_SIGMA
) -> list[float]:
    """Return n_steps noise levels, falling by equal factors, and 0 behind them."""
    if n_steps == 1:
        return [highest, 0.0]
    factor = (lowest / highest) ** (1.0 / (n_steps - 1))
    return [*(highest * factor**k for k in range(n_steps)), 0.0]


def draw_residual(
    denoise: Denoise,
    project: Projection,
    noise: Tensor,
    levels: list[float],
) -> Tensor:
    """Draw what the slices do not show.

    Args:
        denoise: Takes a noisy residual and its noise; returns the mean of the residual.
        project: Removes what the slices show.
        noise: Standard normal, the shape of the image.
        levels: Noise levels, falling, the last one 0.

    Returns:
        Residual, the shape of noise: its unseen part a sample, its seen part, which is other than
        zero where the scan is noisy, the mean.
    """
    r = levels[0] * project(noise)
    mean, unseen = torch.zeros_like(r), r
    for sigma, following in pairwise(levels):
        mean = denoise(r, sigma)
        unseen = project(mean)
        r = unseen + following / sigma * (r - unseen)
    return mean - unseen + r
