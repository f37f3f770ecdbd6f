"""A denoiser of what thick slices do not show, told what they show: the built-in prior.

    r_sigma = r + sigma n,      D(r_sigma, sigma | s) = E[r | r_sigma, s]
    D = w r_sigma + sigma / sqrt(sigma^2 + sd^2) H' N(H s, H w r_sigma / sd, log sigma, slices)
    w = sd^2 / (sigma^2 + sd^2)

s is the image that interpolation makes of the slices, consistent with them, and r = x - s what it
lacks. H is the Haar transform and N the super-resolution U-Net (`networks.unet`) with two inputs
more. Both begin at nothing: an untrained denoiser is Wiener's estimate, and one that begins from
the weights of a super-resolution U-Net gives that network's image at the highest noise, where
r_sigma tells nothing and the posterior mean is the best estimate there is.

Reference: Karras, Aittala, Aila, Laine (2022), Elucidating the design space of diffusion-based
generative models, arXiv:2206.00364, for a denoiser scaled by its noise.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from inversesr.errors import InputError
from inversesr.priors.networks import haar
from inversesr.priors.networks.blocks import channels_last, zero_weights
from inversesr.priors.networks.build import load_part
from inversesr.priors.networks.slabwise import slabwise
from inversesr.priors.networks.unet import (
    SuperResolutionShape,
    SuperResolutionUNet,
    describe,
)

# name of the network in prior.json
ROLE = "conditional"
# Standard deviation of r, in intensities near [0, 1], and the noise levels that it is seen under.
RESIDUAL_SD, HIGHEST_SIGMA, LOWEST_SIGMA = 0.05, 1.0, 0.004
# Waves of log sigma, their sines and cosines, the noise of the scan, and a one.
N_WAVES = 8
N_LEVEL = 2 * N_WAVES + 2
# The scan's noise is given in tenths of the bright end.
NOISE_SCALE = 10.0


class ConditionalDenoiser(SuperResolutionUNet):
    """Super-resolution U-Net that is also told a noisy residual, its noise and the scan's."""

    def __init__(self, shape: SuperResolutionShape) -> None:
        super().__init__(shape)
        width, n_embedding = shape.widths[0], shape.n_embedding
        self.noisy = nn.Conv3d(haar.N_BANDS, width, 3, padding=1)
        self.level = nn.Sequential(nn.Linear(N_LEVEL, 128), nn.SiLU(), nn.Linear(128, n_embedding))
        zero_weights(self.noisy)
        zero_weights(self.level[-1])

    def forward(
        self, x: torch.Tensor, slices: torch.Tensor, noise: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Thin the slices of a batch in one pass: the mean of the image given its slices.

        Args:
            x: Images as `SuperResolutionUNet.forward` takes them, shape (B, 1, X, Y, Z).
            slices: Thickness, spacing and a centre of the slices in fine voxels, shape (B, 3).
            noise: Standard deviation of the scan's noise, shape (B,); None for none.

        Returns:
            Images of the same shape, float32.
        """
        sigma = slices.new_full((len(x),), HIGHEST_SIGMA)
        noise = torch.zeros_like(sigma) if noise is None else noise
        return x + self.denoise(x, slices, torch.zeros_like(x), sigma, noise)

    def denoise(
        self,
        start: torch.Tensor,
        slices: torch.Tensor,
        residual: torch.Tensor,
        sigma: torch.Tensor,
        noise: torch.Tensor,
    ) -> torch.Tensor:
        """Return the mean of r, given a noisy one and what the slices show.

        Args:
            start: s, shape (B, 1, X, Y, Z), slices along Z, every length a multiple of 8,
                intensities near [0, 1].
            slices: Thickness, spacing and a centre of the slices in fine voxels, shape (B, 3).
            residual: r + sigma n, the shape of start.
            sigma: Its noise, shape (B,), above 0.
            noise: Standard deviation of the scan's noise, shape (B,).

        Returns:
            r, of the same shape, float32.
        """
        features, embedding = self.enter(start, slices, residual, sigma, noise)
        return self.leave(self._body(features, embedding), residual, sigma)

    def enter(
        self,
        start: torch.Tensor,
        slices: torch.Tensor,
        residual: torch.Tensor,
        sigma: torch.Tensor,
        noise: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the features and the embedding with which `denoise` enters the U-Net."""
        wiener = _wiener(sigma)
        # no noise enters where it would tell nothing
        noisy = channels_last(haar.analyse(wiener / RESIDUAL_SD * residual))
        features = self._shown(start, slices) + slabwise(self.noisy, noisy, 1)
        embedding = self.embed(describe(slices).to(start))
        embedding = embedding + self.level(describe_level(sigma, noise).to(start))
        return features, embedding

    def leave(
        self, change: torch.Tensor, residual: torch.Tensor, sigma: torch.Tensor
    ) -> torch.Tensor:
        """Return the mean of r from the bands that leave the U-Net."""
        s = _as_factor(sigma)
        # the last step in full precision: bfloat16 would round the image itself
        with torch.autocast(change.device.type, enabled=False):
            learned = haar.synthesise(change.float())
            return _wiener(sigma) * residual + s / (s**2 + RESIDUAL_SD**2).sqrt() * learned


def _as_factor(sigma: torch.Tensor) -> torch.Tensor:
    return sigma[:, None, None, None, None].float()


def _wiener(sigma: torch.Tensor) -> torch.Tensor:
    """Return the share of a noisy residual that is not noise, by their variances."""
    return RESIDUAL_SD**2 / (_as_factor(sigma) ** 2 + RESIDUAL_SD**2)


def describe_level(sigma: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return waves of log sigma and the scan's noise, shape (B, 18)."""
    powers = 2.0 ** torch.arange(-1, N_WAVES - 1, device=sigma.device)
    turns = (sigma.log() / 4.0)[:, None] * powers[None] * (torch.pi / 4.0)
    one = torch.ones_like(noise)[:, None]
    return torch.cat([turns.sin(), turns.cos(), NOISE_SCALE * noise[:, None], one], dim=1)


def load_conditional(name_or_folder: str | Path, device: torch.device) -> ConditionalDenoiser:
    """Load the conditional denoiser of a prior, after checking size and hash of its file.

    Args:
        name_or_folder: Name of an installed prior, or its folder.
        device: Where to compute.

    Returns:
        The network, for inference, its weights float32.

    Raises:
        InputError: the prior has no such network, or its file is missing or damaged.
    """
    net = load_part(name_or_folder, ROLE, ConditionalDenoiser, device)
    if net is None:
        message = (
            f"prior {name_or_folder!s} has no conditional denoiser, which draws samples: leave "
            "out --samples, or give --prior builtin"
        )
        raise InputError(message)
    return net


def build_conditional_denoiser(**arguments: Any) -> ConditionalDenoiser:  # noqa: ANN401
    """Build the network from the arguments in prior.json, those of `SuperResolutionShape`."""
    return ConditionalDenoiser(SuperResolutionShape(**arguments))
