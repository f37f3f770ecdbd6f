"""The super-resolution U-Net: from spline-interpolated thick slices to thin ones, in one pass.

    x = s + H' N(H s, slices)

s is the spline interpolation of the scan with its slices along the last axis, H the Haar
transform and N a U-Net whose input includes where the slices lie and how thick they are. N
starts at zero, so an untrained network returns s. Features are normalised over the channels of
each voxel alone, so the result for a voxel does not depend on how the volume was cropped or tiled.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from inversesr.errors import InputError
from inversesr.priors.networks import haar
from inversesr.priors.networks.blocks import (
    apply_blocks,
    channels_last,
    modulated_blocks,
    scale_bands,
    zero_weights,
)
from inversesr.priors.networks.build import load_part
from inversesr.priors.networks.slabwise import slabwise

# name of the network in prior.json
ROLE = "unet"
# cosine and sine of the slice phase, at the two voxels that share one Haar coefficient
N_PHASES = 4


@dataclass(frozen=True)
class SuperResolutionShape:
    """Size of the network.

    Attributes:
        widths: Channels at 1/2, 1/4 and 1/8 of the resolution.
        n_blocks: Residual blocks at each of these, on the way down and again on the way up.
        n_embedding: Length of the vector that describes the slices.
    """

    widths: tuple[int, int, int] = (32, 64, 128)
    n_blocks: tuple[int, int, int] = (2, 2, 3)
    n_embedding: int = 64


class SuperResolutionUNet(nn.Module):
    """U-Net on Haar bands that adds what thick slices lost."""

    def __init__(self, shape: SuperResolutionShape) -> None:
        super().__init__()
        widths, n_embedding = shape.widths, shape.n_embedding
        self.embed = nn.Sequential(
            nn.Linear(3, n_embedding), nn.SiLU(), nn.Linear(n_embedding, n_embedding), nn.SiLU()
        )
        self.stem = nn.Conv3d(haar.N_BANDS + N_PHASES, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            modulated_blocks(width, n, n_embedding)
            for width, n in zip(widths, shape.n_blocks, strict=True)
        )
        self.up_blocks = nn.ModuleList(
            modulated_blocks(width, n, n_embedding)
            for width, n in zip(widths[:-1], shape.n_blocks[:-1], strict=True)
        )
        self.downs = nn.ModuleList(nn.Conv3d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.ups = nn.ModuleList(
            nn.ConvTranspose3d(b, a, 2, stride=2) for a, b in pairwise(widths)
        )
        self.head = nn.Conv3d(widths[0], haar.N_BANDS, 3, padding=1)
        zero_weights(self.head)

    def forward(
        self,
        x: torch.Tensor,
        slices: torch.Tensor,
        noise: torch.Tensor | None = None,  # noqa: ARG002
    ) -> torch.Tensor:
        """Thin the slices of a batch.

        Args:
            x: Spline-interpolated images, shape (B, 1, X, Y, Z), slices along Z, every length a
                multiple of 8, intensities near [0, 1].
            slices: Thickness, spacing and a centre of the slices in fine voxels, shape (B, 3).
            noise: Standard deviation of the scan's noise, shape (B,); of no use to this network.

        Returns:
            Images of the same shape, float32.
        """
        change = self._body(self._shown(x, slices), self.embed(describe(slices).to(x)))
        # the last step in full precision: bfloat16 would round the image itself
        with torch.autocast(x.device.type, enabled=False):
            return x + haar.synthesise(change.float())

    def _shown(self, x: torch.Tensor, slices: torch.Tensor) -> torch.Tensor:
        """Return features of the bands of an image and of where its slices lie."""
        phases = slice_phases(slices, x.shape[-1]).to(x)[:, :, None, None, :]
        bands = haar.analyse(x)
        places = phases.expand(-1, -1, *bands.shape[2:4], -1)
        return slabwise(self.stem, channels_last(torch.cat([scale_bands(bands), places], 1)), 1)

    def _body(self, features: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """Return the bands that are to be added, from the features of those that are there."""
        return self.up(*self.down(features, embedding), embedding)

    def down(
        self, features: torch.Tensor, embedding: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return features of the coarsest level, the bottleneck, and those kept on the way."""
        skipped: list[torch.Tensor] = []
        for level, level_blocks in enumerate(self.down_blocks):
            features = apply_blocks(level_blocks, features, embedding)
            if level < len(self.downs):
                skipped.append(features)
                features = self.downs[level](features)
        return features, skipped

    def up(
        self, features: torch.Tensor, skipped: list[torch.Tensor], embedding: torch.Tensor
    ) -> torch.Tensor:
        """Return the bands that are to be added; what was kept on the way is used up."""
        for level in reversed(range(len(self.ups))):
            features = self.ups[level](features) + skipped.pop()
            features = apply_blocks(self.up_blocks[level], features, embedding)
        return slabwise(lambda x: self.head(functional.silu(x)), features, 1)


def describe(slices: torch.Tensor) -> torch.Tensor:
    """Return log thickness, log spacing and their ratio, shape (B, 3)."""
    thickness, spacing = slices[:, 0], slices[:, 1]
    return torch.stack([thickness.log(), spacing.log(), thickness / spacing], dim=1)


def slice_phases(slices: torch.Tensor, n_voxels: int) -> torch.Tensor:
    """Tell every pair of voxels along the last axis where it is within its slice.

    Args:
        slices: Thickness, spacing and a centre in fine voxels, shape (B, 3).
        n_voxels: Even number of fine voxels along the axis.

    Returns:
        Cosine and sine of the angle that turns once a slice, shape (B, 4, n_voxels / 2).
    """
    positions = torch.arange(n_voxels, dtype=slices.dtype, device=slices.device)
    turns = (positions[None] - slices[:, 2:3]) / slices[:, 1:2]
    angle = (2.0 * torch.pi * turns).reshape(len(slices), -1, 2).transpose(1, 2)
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def load_unet(name_or_folder: str | Path, device: torch.device) -> SuperResolutionUNet:
    """Load the super-resolution network of a prior, after checking size and hash of its file.

    Args:
        name_or_folder: Name of an installed prior, or its folder.
        device: Where to compute.

    Returns:
        The network, for inference, its weights float32.

    Raises:
        InputError: the prior has no such network, or its file is missing or damaged.
    """
    net = load_part(name_or_folder, ROLE, SuperResolutionUNet, device)
    if net is None:
        message = (
            f"prior {name_or_folder!s} has no super-resolution network; expected one: "
            "give another --solver, or --prior builtin"
        )
        raise InputError(message)
    return net


def build_unet(**arguments: Any) -> SuperResolutionUNet:  # noqa: ANN401  (of SuperResolutionShape)
    """Build the network from the arguments in prior.json."""
    return SuperResolutionUNet(SuperResolutionShape(**arguments))
