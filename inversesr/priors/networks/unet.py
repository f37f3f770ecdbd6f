"""The warm start: one pass of a network that thins spline-interpolated thick slices.

    x = s + H' N(H s, slices)

s is the spline interpolation of the scan with its slices along the last axis, H the Haar
transform and N a U-Net told where the slices lie and how thick they are. N starts at zero,
so an untrained network returns s. Features are normalised over the channels of each
voxel alone, so what becomes of a voxel does not depend on how the volume was cropped or tiled.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from inversesr.errors import InputError
from inversesr.priors.networks import haar
from inversesr.priors.networks.blocks import (
    apply_blocks,
    modulated_blocks,
    scale_bands,
    zero_weights,
)
from inversesr.priors.networks.build import load_part
from inversesr.priors.networks.slabwise import slabwise

# Slices that the network can thin, in fine voxels: those of its training and a little beyond, and
# thinner ones that lie as far apart (docs/benchmarks.md has what it gains on them).
KNOWN_THICKNESS = (1.5, 12.0)
KNOWN_DISTANCE = (3.0, 12.0)
THINNEST = 1.0
# name of the network in prior.json
ROLE = "warmstart"
# cosine and sine of the slice phase, at the two voxels that share one Haar coefficient
N_PHASES = 4
WHITE_QUANTILE = 0.999
# the Haar transform and two halvings
MULTIPLE = 8
# Axes to reverse; the slice axis, which the network sees otherwise than the rest, comes first.
MIRRORS: tuple[tuple[int, ...], ...] = (
    (), (2,), (0,), (0, 2), (1,), (1, 2), (0, 1), (0, 1, 2),
)  # fmt: skip


@dataclass(frozen=True)
class SliceGeometry:
    """How thick slices lie along the last axis, in fine voxels.

    Attributes:
        thickness: Full width at half maximum of a slice.
        spacing: Distance between neighbouring slice centres.
        first_centre: Position of any one slice centre; fine voxel 0 has its centre at 0.
    """

    thickness: float
    spacing: float
    first_centre: float

    @property
    def is_known(self) -> bool:
        """Whether the network thins such slices better than it would do nothing at all."""
        # lengths in headers are single precision
        thickness, spacing = round(self.thickness, 3), round(self.spacing, 3)
        if spacing > KNOWN_DISTANCE[1]:
            return False
        is_thick = KNOWN_THICKNESS[0] <= thickness <= KNOWN_THICKNESS[1]
        return is_thick or (thickness >= THINNEST and spacing >= KNOWN_DISTANCE[0])

    def as_tensor(self) -> torch.Tensor:
        """Return the row of numbers that the network reads, shape (3,)."""
        return torch.tensor([self.thickness, self.spacing, self.first_centre])

    def mirrored(self, n_voxels: int) -> "SliceGeometry":
        """Return how the slices lie once an axis of n_voxels is reversed."""
        first = (n_voxels - 1 - self.first_centre) % self.spacing
        return SliceGeometry(self.thickness, self.spacing, first)


@dataclass(frozen=True)
class WarmStartShape:
    """Size of the network.

    Attributes:
        widths: Channels at 1/2, 1/4 and 1/8 of the resolution.
        n_blocks: Residual blocks at each of these, on the way down and again on the way up.
        n_embedding: Length of the vector that describes the slices.
    """

    widths: tuple[int, int, int] = (32, 64, 128)
    n_blocks: tuple[int, int, int] = (2, 2, 3)
    n_embedding: int = 64


class WarmStartNet(nn.Module):
    """U-Net on Haar bands that adds what thick slices lost."""

    def __init__(self, shape: WarmStartShape) -> None:
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

    def forward(self, x: torch.Tensor, slices: torch.Tensor) -> torch.Tensor:
        """Thin the slices of a batch.

        Args:
            x: Spline-interpolated images, shape (B, 1, X, Y, Z), slices along Z, every length a
                multiple of 8, intensities near [0, 1].
            slices: Thickness, spacing and a centre of the slices in fine voxels, shape (B, 3).

        Returns:
            Images of the same shape, float32.
        """
        phases = slice_phases(slices, x.shape[-1]).to(x)[:, :, None, None, :]
        bands = haar.analyse(x)
        places = phases.expand(-1, -1, *bands.shape[2:4], -1)
        features = torch.cat([scale_bands(bands), places], dim=1)
        features = features.contiguous(memory_format=torch.channels_last_3d)
        change = self._unet(features, self.embed(describe(slices).to(x)))
        # the last step in full precision: bfloat16 would round the image itself
        with torch.autocast(x.device.type, enabled=False):
            return x + haar.synthesise(change.float())

    def _unet(self, features: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        features = slabwise(self.stem, features, 1)
        skipped: list[torch.Tensor] = []
        for level, level_blocks in enumerate(self.down_blocks):
            features = apply_blocks(level_blocks, features, embedding)
            if level < len(self.downs):
                skipped.append(features)
                features = self.downs[level](features)
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


@dataclass(frozen=True)
class Tiling:
    """How a large volume is cut across its slices; the slice axis is never cut.

    Attributes:
        size: Longest side of a tile in voxels.
        overlap: Voxels that neighbouring tiles share and over which they are blended.
    """

    size: int = 288
    overlap: int = 32


def refine(
    net: WarmStartNet,
    x: torch.Tensor,
    slices: SliceGeometry,
    dtype: torch.dtype = torch.float32,
    tiling: Tiling | None = None,
) -> torch.Tensor:
    """Thin the slices of one volume.

    Args:
        net: Trained network.
        x: Spline-interpolated (and locked) volume, shape (X, Y, Z), slices along Z, any length,
            any intensity scale with the background near zero.
        slices: Where the slices lie along Z.
        dtype: Arithmetic inside the network; float32, or bfloat16 where the hardware has it.
        tiling: How to cut a large volume; the default keeps the memory below 3 GiB for 200
            slices.

    Returns:
        Volume of shape (X, Y, Z), float32, in the intensities of x. It need not reproduce the
        scan exactly: lock it.
    """
    white = white_level(x)
    geometry = slices.as_tensor()[None].to(x.device)
    return white * in_tiles(lambda tile: net(tile / white, geometry), [x], dtype, tiling)


def in_tiles(
    run: Callable[..., torch.Tensor],
    images: Sequence[torch.Tensor],
    dtype: torch.dtype,
    tiling: Tiling | None = None,
) -> torch.Tensor:
    """Run a network on a volume tile by tile, blending where tiles meet.

    Args:
        run: Takes tiles of the images, each of shape (1, 1, X, Y, Z), lengths multiples of 8.
        images: Volumes of one shape (X, Y, Z).
        dtype: Arithmetic inside the network.
        tiling: How to cut.
    """
    tiling, x = tiling or Tiling(), images[0]
    total, weight = torch.zeros_like(x), torch.zeros_like(x)
    starts = (tile_starts(n, tiling) for n in x.shape[:2])
    with torch.no_grad(), torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
        for start in product(*starts):
            tile = tuple(slice(s, s + tiling.size) for s in start)
            found = run(*(pad(image[tile]) for image in images))[0, 0]
            window = tile_window(x[tile].shape, tiling.overlap).to(x)
            total[tile] += window * crop(found, x[tile].shape)
            weight[tile] += window
    return total / weight


def refine_mirrored(
    net: WarmStartNet,
    x: torch.Tensor,
    slices: SliceGeometry,
    dtype: torch.dtype,
    n_mirrors: int,
) -> torch.Tensor:
    """Thin the slices of a volume and of mirror images of it, and average.

    Args:
        net: Trained network.
        x: Volume as `refine` takes it, shape (X, Y, Z).
        slices: Where the slices lie along Z.
        dtype: Arithmetic inside the network.
        n_mirrors: Number of images, 1 to 8; the first is the volume itself.

    Returns:
        Volume of shape (X, Y, Z), float32.
    """
    total = torch.zeros_like(x)
    for axes in MIRRORS[:n_mirrors]:
        seen = slices.mirrored(x.shape[-1]) if x.ndim - 1 in axes else slices
        total += refine(net, x.flip(axes).contiguous(), seen, dtype).flip(axes)
    return total / len(MIRRORS[:n_mirrors])


def white_level(x: torch.Tensor) -> torch.Tensor:
    """Return the intensity that counts as one: the 99.9th percentile, or 1 for an empty volume."""
    rank = max(1, round(WHITE_QUANTILE * x.numel()))
    white = x.flatten().kthvalue(rank).values
    return torch.where(white > 0, white, torch.ones_like(white))


def tile_starts(n_voxels: int, tiling: Tiling) -> Iterator[int]:
    """Yield where tiles begin along one axis; the last one ends with the volume."""
    step = tiling.size - tiling.overlap
    for start in range(0, max(1, n_voxels - tiling.overlap), step):
        yield max(0, min(start, n_voxels - tiling.size))


def tile_window(shape: torch.Size, overlap: int) -> torch.Tensor:
    """Return blending weights that fall linearly towards the in-plane faces of a tile."""
    ramps = []
    for n in shape[:2]:
        distance = torch.minimum(torch.arange(1, n + 1), torch.arange(n, 0, -1))
        ramps.append((distance / max(1, overlap)).clamp(max=1.0))
    return (ramps[0][:, None] * ramps[1][None, :])[:, :, None]


def pad(x: torch.Tensor) -> torch.Tensor:
    """Repeat the last voxels until every length is a multiple of 8, shape (1, 1, ...)."""
    padding = [amount for n in reversed(x.shape) for amount in (0, -n % MULTIPLE)]
    return functional.pad(x[None, None], padding, mode="replicate")


def crop(x: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Take away what `pad` added."""
    return x[: shape[0], : shape[1], : shape[2]]


def load_warmstart(name_or_folder: str | Path, device: torch.device) -> WarmStartNet:
    """Load the warm-start network of a prior, after checking size and hash of its file.

    Args:
        name_or_folder: Name of an installed prior, or its folder.
        device: Where to compute.

    Returns:
        The network, for inference, its weights float32.

    Raises:
        InputError: the prior has no such network, or its file is missing or damaged.
    """
    net = load_part(name_or_folder, ROLE, WarmStartNet, device)
    if net is None:
        message = (
            f"prior {name_or_folder!s} has no warm-start network; expected one: "
            "give another --solver, or --prior builtin"
        )
        raise InputError(message)
    return net


def build_warmstart(**arguments: Any) -> WarmStartNet:  # noqa: ANN401  (of WarmStartShape)
    """Build the network from the arguments in prior.json."""
    return WarmStartNet(WarmStartShape(**arguments))
