"""Finds the brain in a scan of any contrast, with or without a skull, thick slices or thin.

    mask = largest component of (R' sigmoid(N(scale(R y))) > 1/2), its holes filled

R takes the scan to right-anterior-superior axes at 2 mm and R' takes the probability back; N is
a U-Net on Haar bands. Features are normalised over the channels of each voxel alone, so the
network takes volumes of any size.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn
from torch.nn import functional

from inversesr.errors import InputError
from inversesr.operators.separable import apply_along
from inversesr.priors import haar
from inversesr.priors.blocks import ResidualBlock, normalise, zero_weights
from inversesr.volume import Grid, Image, Volume

SPACING_MM = 2.0
# channels and residual blocks at 4, 8, 16 and 32 mm
WIDTHS, N_BLOCKS = (16, 32, 64, 96), (0, 2, 2, 2)
# percentiles of a scan that become 0 and 1 before the network, and where brighter ones are cut
LOW_QUANTILE, HIGH_QUANTILE = 0.005, 0.99
BRIGHTEST = 1.5
# less than this is no brain: the smallest piece of one that a partial scan can hold
SMALLEST_ML = 5.0

THRESHOLD = 0.5

Mask = NDArray[np.bool_]


class BrainMaskNet(nn.Module):
    """U-Net on Haar bands that marks the brain at 2 mm.

    Args:
        widths: Channels at 4 mm, 8 mm, and so on.
        n_blocks: Residual blocks at each of these, on the way down and again on the way up.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS, n_blocks: Sequence[int] = N_BLOCKS) -> None:
        super().__init__()
        # every side of what it sees is a multiple of this: the Haar transform, then halvings
        self.multiple = 2 ** len(widths)
        self.stem = nn.Conv3d(haar.N_BANDS, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(map(residual_blocks, widths, n_blocks))
        self.up_blocks = nn.ModuleList(map(residual_blocks, widths[:-1], n_blocks[:-1]))
        self.downs = nn.ModuleList(nn.Conv3d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.ups = nn.ModuleList(
            nn.ConvTranspose3d(b, a, 2, stride=2) for a, b in pairwise(widths)
        )
        self.head_norm = nn.LayerNorm(widths[0])
        self.head = nn.Conv3d(widths[0], haar.N_BANDS, 3, padding=1)
        zero_weights(self.head)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logit of being brain.

        Args:
            x: Images with RAS axes at 2 mm, shape (B, 1, X, Y, Z), every length a multiple of
                `multiple`, intensities as `scale_intensities` returns them.

        Returns:
            Logits of the same shape, float32.
        """
        bands = haar.analyse(x).contiguous(memory_format=torch.channels_last_3d)
        features = self.stem(bands)
        skipped: list[torch.Tensor] = []
        for level, level_blocks in enumerate(self.down_blocks):
            features = level_blocks(features)
            if level < len(self.downs):
                skipped.append(features)
                features = self.downs[level](features)
        for level in reversed(range(len(self.ups))):
            features = self.up_blocks[level](self.ups[level](features) + skipped.pop())
        logits = self.head(functional.silu(normalise(features, self.head_norm)))
        return haar.synthesise(logits.float())


def residual_blocks(width: int, n_blocks: int) -> nn.Sequential:
    """Return the residual blocks of one level."""
    return nn.Sequential(*(ResidualBlock(width) for _ in range(n_blocks)))


def brain_mask(net: BrainMaskNet, volume: Volume) -> Mask:
    """Mark the brain in a scan.

    Args:
        net: Trained network.
        volume: Scan of a head or of a stripped brain, of any contrast, spacing and axis order.

    Returns:
        Mask on the grid of volume, in one piece and without holes.

    Raises:
        InputError: nothing in the scan looks like a brain.
    """
    order, flips = ras_order(volume.grid)
    data = torch.from_numpy(np.ascontiguousarray(to_ras(volume.data, order, flips)))
    spacing_mm = [volume.grid.spacing_mm[axis] for axis in order]
    mask = one_piece(brain_probability(net, data, spacing_mm).numpy() > THRESHOLD)
    ml = float(mask.sum()) * float(np.prod(spacing_mm)) / 1000.0
    if ml < SMALLEST_ML:
        message = (
            f"no brain was found in a scan of shape {volume.grid.shape} ({ml:.1f} ml look like "
            f"one; expected at least {SMALLEST_ML:g}): check that it shows a head and that its "
            "header says how it lies, or give a mask"
        )
        raise InputError(message)
    return from_ras(mask, order, flips)


def brain_probability(
    net: BrainMaskNet, data: torch.Tensor, spacing_mm: Sequence[float]
) -> torch.Tensor:
    """Return the probability of being brain at every voxel of an image with RAS axes.

    Args:
        net: Trained network.
        data: Image, shape (X, Y, Z), any intensities.
        spacing_mm: Voxel size along each axis.

    Returns:
        Probabilities of the same shape.
    """
    lengths = [round_up(n * s / SPACING_MM) for n, s in zip(data.shape, spacing_mm, strict=True)]
    coarse = respace(data, spacing_mm, lengths, [SPACING_MM] * 3)
    x, place = pad(scale_intensities(coarse), net.multiple)
    dtype = next(net.parameters()).dtype
    with torch.no_grad():
        probability = torch.sigmoid(net(x.to(dtype)))[0, 0]
    return respace(probability[place], [SPACING_MM] * 3, data.shape, spacing_mm)


def respace(
    x: torch.Tensor, from_mm: Sequence[float], shape: Sequence[int], to_mm: Sequence[float]
) -> torch.Tensor:
    """Resample an image about its middle to another shape and voxel size."""
    for axis in range(3):
        matrix = respacing_matrix(shape[axis], to_mm[axis], x.shape[axis], from_mm[axis])
        x = apply_along(matrix, x, axis)
    return x


def round_up(length: float) -> int:
    """Return the whole number of voxels that covers a length, forgiving rounding errors."""
    return max(1, int(np.ceil(length - 1e-3)))


def respacing_matrix(n_out: int, out_mm: float, n_in: int, in_mm: float) -> torch.Tensor:
    """Return the matrix that resamples an axis about its middle.

    Refining, it interpolates linearly. Coarsening, it averages under a triangle as wide as two
    of the new voxels, which suppresses what these cannot hold.

    Args:
        n_out: Voxels after.
        out_mm: Voxel size after.
        n_in: Voxels before.
        in_mm: Voxel size before.

    Returns:
        Weights, shape (n_out, n_in); every row sums to one.
    """
    at_out = (torch.arange(n_out, dtype=torch.float64) - (n_out - 1) / 2.0) * out_mm
    at_in = (torch.arange(n_in, dtype=torch.float64) - (n_in - 1) / 2.0) * in_mm
    # a voxel beyond the last one takes its value
    at_out = at_out.clamp(float(at_in[0]), float(at_in[-1]))
    distance = (at_out[:, None] - at_in[None, :]).abs()
    weights = (1.0 - distance / max(in_mm, out_mm)).clamp(min=0.0)
    return (weights / weights.sum(dim=1, keepdim=True)).float()


def scale_intensities(x: torch.Tensor) -> torch.Tensor:
    """Bring an image of any intensities to about [0, 1]; stray bright voxels are cut."""
    values = x.flatten()
    ranks = [max(1, round(q * values.numel())) for q in (LOW_QUANTILE, HIGH_QUANTILE)]
    low, high = (values.kthvalue(rank).values for rank in ranks)
    if not high > low:
        low, high = values.min(), values.max()
    return ((x - low) / (high - low).clamp(min=1e-12)).clamp(0.0, BRIGHTEST)


def pad(x: torch.Tensor, multiple: int) -> tuple[torch.Tensor, tuple[slice, ...]]:
    """Add zeros about an image up to a multiple of voxels.

    They are added on both sides alike, because a network feels where the volume ends.

    Returns:
        Padded image, shape (1, 1, ...), and where the image is in it.
    """
    before = [(-n % multiple) // 2 for n in x.shape]
    after = [-n % multiple - b for n, b in zip(x.shape, before, strict=True)]
    amounts = [amount for axis in (2, 1, 0) for amount in (before[axis], after[axis])]
    place = tuple(slice(b, b + n) for b, n in zip(before, x.shape, strict=True))
    return functional.pad(x[None, None], amounts), place


def ras_order(grid: Grid) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return which axis runs right-left, back-front and up-down, and which of these to flip."""
    codes = grid.axcodes
    order = tuple(
        next(axis for axis, code in enumerate(codes) if code in pair)
        for pair in ("LR", "PA", "IS")
    )
    flips = tuple(number for number, axis in enumerate(order) if codes[axis] in "LPI")
    return order, flips


def to_ras(data: Image, order: tuple[int, ...], flips: tuple[int, ...]) -> Image:
    """Order and flip axes so that they run right, anterior, superior."""
    return np.flip(data.transpose(order), flips)


def from_ras(mask: Mask, order: tuple[int, ...], flips: tuple[int, ...]) -> Mask:
    """Undo `to_ras`."""
    return np.ascontiguousarray(np.flip(mask, flips).transpose(np.argsort(order)))


def one_piece(mask: Mask) -> Mask:
    """Keep the largest component and fill what it encloses."""
    pieces, n = ndimage.label(mask)
    if n == 0:
        return mask
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    box = ndimage.find_objects(pieces, max_label=largest)[-1]
    # what is connected with the rim about the box is outside, and all the rest is not
    outside, _ = ndimage.label(np.pad(pieces[box] != largest, 1, constant_values=True))
    whole = np.zeros(mask.shape, dtype=np.bool_)
    whole[box] = (outside != outside[0, 0, 0])[1:-1, 1:-1, 1:-1]
    return whole
