"""A denoiser of complex image slices at any noise level: the prior of k-space.

    D(x_sigma, sigma) = E[x | x_sigma = x + sigma n]
    D = w x_sigma + sigma sd / sqrt(sigma^2 + sd^2) U(x_sigma / sqrt(sigma^2 + sd^2), log sigma)
    w = sd^2 / (sigma^2 + sd^2)

Real and imaginary part are two channels with noise sigma each. U is a U-Net on blocks of two by
two pixels; it begins at nothing, so an untrained denoiser is Wiener's estimate. It has no norms:
what becomes of a pixel does not depend on how the image was cropped.

Reference: Karras, Aittala, Aila, Laine (2022), Elucidating the design space of diffusion-based
generative models, arXiv:2206.00364, for a denoiser scaled by its noise; Zhang, Li, Zuo, Zhang,
Van Gool, Timofte (2021), Plug-and-play image restoration with deep denoiser prior,
doi:10.1109/TPAMI.2021.3088914, for its use.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from inversesr.errors import InputError
from inversesr.priors.networks.blocks import as_weights_of, zero_weights

ROLE = "image-denoiser"
# Standard deviation of either part of an image whose bright end is 1, and the noise levels that it
# is seen under.
PART_SD, HIGHEST_SIGMA, LOWEST_SIGMA = 0.3, 1.0, 0.003
# The image enters in blocks of so many pixels a side.
BLOCK = 2
N_WAVES = 8


class FlatBlock(nn.Module):
    """Residual block in two dimensions whose features an embedding scales and shifts."""

    def __init__(self, width: int, n_embedding: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.modulation = nn.Linear(n_embedding, 2 * width)
        zero_weights(self.second)
        zero_weights(self.modulation)

    def forward(self, features: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """Return features of the same shape, (B, width, X, Y)."""
        scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
        hidden = torch.addcmul(shift, self.first(features), 1.0 + scale)
        change: torch.Tensor = self.second(functional.silu(hidden))
        return features + change


class ImageDenoiser(nn.Module):
    """U-Net on complex slices.

    Args:
        widths: Channels at 1/2, 1/4, ... of the image's resolution.
        n_blocks: Residual blocks at each of these, on the way down and again on the way up.
        n_embedding: Length of the vector that describes the noise level.
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 80, 112),
        n_blocks: Sequence[int] = (2, 2, 2),
        n_embedding: int = 64,
    ) -> None:
        super().__init__()
        channels = 2 * BLOCK**2
        self.embed = nn.Sequential(
            nn.Linear(2 * N_WAVES, n_embedding),
            nn.SiLU(),
            nn.Linear(n_embedding, n_embedding),
            nn.SiLU(),
        )
        self.stem = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            flat_blocks(width, n, n_embedding) for width, n in zip(widths, n_blocks, strict=True)
        )
        self.up_blocks = nn.ModuleList(
            flat_blocks(width, n, n_embedding)
            for width, n in zip(widths[:-1], n_blocks[:-1], strict=True)
        )
        self.downs = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths)
        )
        self.head = nn.Conv2d(widths[0], channels, 3, padding=1)
        zero_weights(self.head)

    @property
    def multiple(self) -> int:
        """Both sides of what the U-Net works on are multiples of this."""
        return int(BLOCK * 2 ** len(self.downs))

    def forward(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return the mean of images, given noisy ones.

        Args:
            x: Real and imaginary parts, shape (B, 2, X, Y), any lengths, the bright end near 1.
            sigma: Noise of either part, shape (B,), above 0.

        Returns:
            Images of the same shape, float32.
        """
        s = sigma[:, None, None, None].float()
        size = (s**2 + PART_SD**2).sqrt()
        change = self.learned(x / size, sigma)
        # the last step in full precision: bfloat16 would round the image itself
        with torch.autocast(x.device.type, enabled=False):
            wiener = (PART_SD / size) ** 2
            return wiener * x.float() + s * PART_SD / size * change.float()

    def learned(self, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """Return what the U-Net makes of images of about unit size; see `forward`."""
        padding = [n for side in reversed(x.shape[2:]) for n in (0, -side % self.multiple)]
        padded = functional.pad(x, padding, mode="replicate")
        embedding = self.embed(as_weights_of(self.embed, level_waves(sigma)))
        features = functional.pixel_unshuffle(padded, BLOCK)
        features = features.contiguous(memory_format=torch.channels_last)
        change = self._body(self.stem(as_weights_of(self.stem, features)), embedding)
        change = functional.pixel_shuffle(change, BLOCK)
        return change[:, :, : x.shape[2], : x.shape[3]]

    def _body(self, features: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        skipped: list[torch.Tensor] = []
        for level, level_blocks in enumerate(self.down_blocks):
            features = run_level(level_blocks, features, embedding)
            if level < len(self.downs):
                skipped.append(features)
                features = self.downs[level](features)
        for level in reversed(range(len(self.ups))):
            features = self.ups[level](features) + skipped.pop()
            features = run_level(self.up_blocks[level], features, embedding)
        output: torch.Tensor = self.head(functional.silu(features))
        return output


def flat_blocks(width: int, n_blocks: int, n_embedding: int) -> nn.ModuleList:
    """Return the residual blocks of one level."""
    return nn.ModuleList(FlatBlock(width, n_embedding) for _ in range(n_blocks))


def run_level(
    level_blocks: nn.Module, features: torch.Tensor, embedding: torch.Tensor
) -> torch.Tensor:
    """Run features through the blocks of one level."""
    for block in level_blocks.children():
        features = block(features, embedding)
    return features


def level_waves(sigma: torch.Tensor) -> torch.Tensor:
    """Return sines and cosines of log sigma, shape (B, 16)."""
    powers = 2.0 ** torch.arange(-1, N_WAVES - 1, device=sigma.device)
    turns = (sigma.float().log() / 4.0)[:, None] * powers[None] * (math.pi / 4.0)
    return torch.cat([turns.sin(), turns.cos()], dim=1)


def load_image_denoiser(name_or_folder: str | Path, device: torch.device) -> ImageDenoiser:
    """Load the denoiser of a prior, after checking size and hash of its file.

    Args:
        name_or_folder: Name of an installed prior, or its folder.
        device: Where to compute.

    Returns:
        The network, for inference, its weights float32.

    Raises:
        InputError: the prior has no such network, or its file is missing or damaged.
    """
    # `build` knows this class by name: imported at the top they would need one another
    from inversesr.priors.networks.build import load_part

    net = load_part(name_or_folder, ROLE, ImageDenoiser, device)
    if net is None:
        message = (
            f"prior {name_or_folder!s} has no {ROLE}; expected one: "
            "give another --solver, or --prior builtin"
        )
        raise InputError(message)
    return net


def build_image_denoiser(**arguments: Any) -> ImageDenoiser:  # noqa: ANN401
    """Build the network from the arguments in prior.json."""
    return ImageDenoiser(**arguments)
