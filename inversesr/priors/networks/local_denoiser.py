"""The project's own denoiser: a U-Net on latents of any size, told how noisy they are.

What is known of a subject enters as constant maps beside the latent. Their weights start at zero.

It starts at zero. With v-prediction and latents of unit variance that is the best denoiser for
white Gaussian latents, so training begins there and learns what tissue adds to it.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from inversesr.priors.networks.blocks import (
    apply_blocks,
    as_weights_of,
    modulated_blocks,
    zero_weights,
)

# slowest wave of the timestep embedding
LONGEST_PERIOD = 10_000.0


class LocalDenoiser(nn.Module):
    """U-Net called as MONAI's DiffusionModelUNet; conditions come as maps beside the latent.

    Args:
        channels: Channels of a latent.
        widths: Channels at 1, 1/2, 1/4, ... of the latent's resolution.
        n_blocks: Residual blocks at each of these, on the way down and again on the way up.
        n_embedding: Length of the vector that describes the timestep.
        n_conditions: Constant maps that follow the channels of the latent.
    """

    def __init__(
        self,
        channels: int = 8,
        widths: Sequence[int] = (64, 128, 192),
        n_blocks: Sequence[int] = (2, 2, 3),
        n_embedding: int = 128,
        n_conditions: int = 0,
    ) -> None:
        super().__init__()
        self.n_embedding = n_embedding
        # in training: compute features again in the backward pass rather than keep them
        self.recomputes = False
        self.embed = nn.Sequential(
            nn.Linear(n_embedding, n_embedding),
            nn.SiLU(),
            nn.Linear(n_embedding, n_embedding),
            nn.SiLU(),
        )
        self.stem = nn.Conv3d(channels + n_conditions, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            modulated_blocks(width, n, n_embedding)
            for width, n in zip(widths, n_blocks, strict=True)
        )
        self.up_blocks = nn.ModuleList(
            modulated_blocks(width, n, n_embedding)
            for width, n in zip(widths[:-1], n_blocks[:-1], strict=True)
        )
        self.downs = nn.ModuleList(nn.Conv3d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.ups = nn.ModuleList(
            nn.ConvTranspose3d(b, a, 2, stride=2) for a, b in pairwise(widths)
        )
        self.head = nn.Conv3d(widths[0], channels, 3, padding=1)
        zero_weights(self.head)

    def forward(
        self, x: torch.Tensor, timesteps: torch.Tensor, context: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return what the schedule calls the prediction.

        Args:
            x: Noisy latents, and the maps of conditions after them, shape
                (B, channels + n_conditions, X, Y, Z), any lengths.
            timesteps: Timestep of each, shape (B,).
            context: Must be None: this network has no cross-attention.

        Returns:
            Prediction, shape (B, channels, X, Y, Z).
        """
        if context is not None:
            message = "context was given; expected None: this denoiser has no cross-attention"
            raise ValueError(message)
        multiple = 2 ** len(self.downs)
        padding = [amount for n in reversed(x.shape[2:]) for amount in (0, -n % multiple)]
        padded = functional.pad(x, padding, mode="replicate")
        padded = padded.contiguous(memory_format=torch.channels_last_3d)
        waves = timestep_waves(timesteps, self.n_embedding)
        embedding = self.embed(as_weights_of(self.embed, waves))
        output = self._unet(as_weights_of(self.stem, padded), embedding)
        return output[:, :, : x.shape[2], : x.shape[3], : x.shape[4]]

    def _unet(self, features: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        features = self.stem(features)
        skipped: list[torch.Tensor] = []
        for level, level_blocks in enumerate(self.down_blocks):
            features = self._run_level(level_blocks, features, embedding)
            if level < len(self.downs):
                skipped.append(features)
                features = self.downs[level](features)
        for level in reversed(range(len(self.ups))):
            features = self.ups[level](features) + skipped.pop()
            features = self._run_level(self.up_blocks[level], features, embedding)
        output: torch.Tensor = self.head(functional.silu(features))
        return output

    def _run_level(
        self, level_blocks: nn.Module, features: torch.Tensor, embedding: torch.Tensor
    ) -> torch.Tensor:
        """Run the blocks of a level, in training perhaps without keeping what is inside them."""
        if not self.recomputes or not torch.is_grad_enabled():
            return apply_blocks(level_blocks, features, embedding)
        again: torch.Tensor = checkpoint(
            apply_blocks, level_blocks, features, embedding, use_reentrant=False
        )
        return again


def timestep_waves(timesteps: torch.Tensor, n: int) -> torch.Tensor:
    """Return cosines and sines of the timesteps with geometric periods, shape (B, n)."""
    ranks = torch.arange(n // 2, dtype=torch.float32, device=timesteps.device)
    rates = torch.exp(-math.log(LONGEST_PERIOD) * ranks / (n // 2))
    angles = timesteps.float()[:, None] * rates[None]
    return torch.cat([angles.cos(), angles.sin()], dim=1)
