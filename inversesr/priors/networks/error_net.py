"""The uncertainty network: the expected error of a restored image, voxel by voxel.

    log b = H' N(H x, H l, slices),      |x - truth| ~ Laplace(b)

x is the result of the U-Net and l the interpolation that it began from, both made consistent with
the scan; H is the Haar transform. N is small; it sees what was changed, where the slices lie and
how thick they are.

Reference: Kendall, Gal (2017), What uncertainties do we need in Bayesian deep learning for
computer vision?, arXiv:1703.04977.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from inversesr.priors.networks import haar
from inversesr.priors.networks.blocks import (
    apply_blocks,
    modulated_blocks,
    scale_bands,
    zero_weights,
)
from inversesr.priors.networks.build import load_part
from inversesr.priors.networks.slabwise import slabwise
from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.priors.networks.tiling import in_tiles
from inversesr.priors.networks.unet import N_PHASES, describe, slice_phases
from inversesr.priors.networks.unet_inference import white_level

# name of the network in prior.json
ROLE = "error"
# The scale that an untrained network gives, and the smallest and largest of all, of a range of 1.
FIRST_SCALE, LEAST_SCALE, LARGEST_SCALE = 0.02, 5e-4, 1.0
# standard deviation of a Laplace distribution of scale 1
SD_OF_SCALE = 2.0**0.5


@dataclass(frozen=True)
class ErrorShape:
    """Size of the network.

    Attributes:
        widths: Channels at 1/2 and 1/4 of the resolution.
        n_blocks: Residual blocks at the fine level on the way down and up, and at the coarse one.
        n_embedding: Length of the vector that describes the slices.
    """

    widths: tuple[int, int] = (24, 48)
    n_blocks: tuple[int, int] = (1, 2)
    n_embedding: int = 32


class ErrorNet(nn.Module):
    """U-Net of one halving on the Haar bands of an image and of what it was made from."""

    def __init__(self, shape: ErrorShape) -> None:
        super().__init__()
        (fine, coarse), n_embedding = shape.widths, shape.n_embedding
        n_fine, n_coarse = shape.n_blocks
        self.embed = nn.Sequential(
            nn.Linear(3, n_embedding), nn.SiLU(), nn.Linear(n_embedding, n_embedding), nn.SiLU()
        )
        self.stem = nn.Conv3d(2 * haar.N_BANDS + N_PHASES, fine, 3, padding=1)
        self.before = modulated_blocks(fine, n_fine, n_embedding)
        self.down = nn.Conv3d(fine, coarse, 2, stride=2)
        self.middle = modulated_blocks(coarse, n_coarse, n_embedding)
        self.up = nn.ConvTranspose3d(coarse, fine, 2, stride=2)
        self.after = modulated_blocks(fine, n_fine, n_embedding)
        self.head = nn.Conv3d(fine, haar.N_BANDS, 3, padding=1)
        zero_weights(self.head)

    def forward(self, x: torch.Tensor, start: torch.Tensor, slices: torch.Tensor) -> torch.Tensor:
        """Estimate the scale of the errors of a batch.

        Args:
            x: Restored and consistent images, shape (B, 1, X, Y, Z), slices along Z, every
                length a multiple of 4, intensities near [0, 1].
            start: The consistent interpolations from which they were made, likewise.
            slices: Thickness, spacing and a centre of the slices in fine voxels, shape (B, 3).

        Returns:
            Scale of the Laplace distribution of the error, the shape of x, float32.
        """
        phases = slice_phases(slices, x.shape[-1]).to(x)[:, :, None, None, :]
        bands = [scale_bands(haar.analyse(image)) for image in (x, start)]
        places = phases.expand(-1, -1, *bands[0].shape[2:4], -1)
        features = torch.cat([*bands, places], dim=1)
        features = features.contiguous(memory_format=torch.channels_last_3d)
        embedding = self.embed(describe(slices).to(x))
        fine = apply_blocks(self.before, slabwise(self.stem, features, 1), embedding)
        coarse = apply_blocks(self.middle, self.down(fine), embedding)
        fine = apply_blocks(self.after, self.up(coarse) + fine, embedding)
        found = slabwise(lambda x: self.head(functional.silu(x)), fine, 1)
        with torch.autocast(x.device.type, enabled=False):
            logarithm = haar.synthesise(found.float()) + math.log(FIRST_SCALE)
            return logarithm.clamp(math.log(LEAST_SCALE), math.log(LARGEST_SCALE)).exp()


def expected_error(
    net: ErrorNet,
    x: torch.Tensor,
    start: torch.Tensor,
    slices: SliceGeometry,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Estimate the standard deviation of the error of one volume.

    Args:
        net: Trained network.
        x: Restored and consistent volume, shape (X, Y, Z), slices along Z, of any length and
            intensities.
        start: The consistent interpolation from which it was made, likewise.
        slices: Where the slices lie along Z.
        dtype: Arithmetic inside the network.

    Returns:
        Standard deviation in the intensities of x, shape (X, Y, Z), before the prior's
        `error_factor`.
    """
    white = white_level(start)
    geometry = slices.as_tensor()[None].to(x.device)
    scale = in_tiles(lambda *tiles: net(*(t / white for t in tiles), geometry), [x, start], dtype)
    return SD_OF_SCALE * white * scale


def load_error_net(name_or_folder: str | Path, device: torch.device) -> ErrorNet | None:
    """Load the network of a prior, after checking size and hash of its file; None without one.

    Args:
        name_or_folder: Name of an installed prior, or its folder.
        device: Where to compute.

    Raises:
        InputError: its file is missing or damaged.
    """
    return load_part(name_or_folder, ROLE, ErrorNet, device)


def build_error_net(**arguments: Any) -> ErrorNet:  # noqa: ANN401  (of ErrorShape)
    """Build the network from the arguments in prior.json."""
    return ErrorNet(ErrorShape(**arguments))
