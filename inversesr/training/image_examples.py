"""Draws complex slices for training: sharp anatomy of any contrast with a smooth random phase.

x = b m exp(i p),      m a slice of a scan or of a painted label map, b and p smooth
"""

import math
from dataclasses import dataclass, field
from itertools import combinations

import torch
from torch.nn import functional

from inversesr.training.patches import cut, vary_contrast
from inversesr.training.random import happens, integer, uniform
from inversesr.training.synthetic import SyntheticConfig, draw_bias, paint
from inversesr.training.training_scan import TrainingScan

# A painted slice is cut from a slab, as its texture and blur have three dimensions.
SLAB = 5
# Places tried before a slice with too much background is accepted.
N_TRIES = 6


@dataclass(frozen=True)
class SliceConfig:
    """What slices look like.

    Attributes:
        size: Pixels a side.
        n_slices: Slices in a batch.
        synthetic: Share painted from label maps, where there are any.
        isotropic: Share of the others from scans that are sharp along every axis, if there are
            any.
        foreground: Share of a slice that must not be background.
        resized: Share of slices that are enlarged or reduced.
        reduced: Largest factor by which slices are reduced.
        enlarged: Largest factor by which slices are enlarged.
        bias: Standard deviation of the logarithm of the coils' shading.
        phase: Largest standard deviation of the smooth phase in radians.
        ramp: Largest slope of the phase in radians a pixel.
        contrast: How varied painted slices are.
    """

    size: int = 96
    n_slices: int = 8
    synthetic: float = 0.3
    isotropic: float = 0.35
    foreground: float = 0.3
    resized: float = 0.5
    reduced: float = 1.7
    enlarged: float = 1.25
    bias: float = 0.25
    phase: float = 1.5
    ramp: float = 0.06
    contrast: SyntheticConfig = field(default_factory=SyntheticConfig)


def draw_slices(
    scans: list[TrainingScan], config: SliceConfig, generator: torch.Generator
) -> torch.Tensor:
    """Draw a batch of complex slices.

    Args:
        scans: Scans and label maps; two axes of each at least are sharp.
        config: What slices look like.
        generator: Source of randomness.

    Returns:
        Real and imaginary parts, shape (n_slices, 2, size, size), the bright end about 1.
    """
    slices = [draw_slice(scans, config, generator) for _ in range(config.n_slices)]
    return torch.stack([with_phase(m, config, generator) for m in slices])


def draw_slice(
    scans: list[TrainingScan], config: SliceConfig, generator: torch.Generator
) -> torch.Tensor:
    """Draw the magnitude of one slice, shape (size, size)."""
    scan = choose(scans, config, generator)
    voxels = turn(scan, generator)
    side = draw_side(config, generator)
    depth = SLAB if scan.is_labels else 1
    slab = cut(voxels, (side, side, depth), generator)
    for _ in range(N_TRIES):
        if float((slab > 0).float().mean()) >= config.foreground:
            break
        slab = cut(voxels, (side, side, depth), generator)
    if scan.is_labels:
        m = paint(slab, config.contrast, generator)[..., depth // 2]
    else:
        m = vary_contrast(slab.float() / scan.white, generator)[..., 0]
    return resize(m, config.size)


def choose(
    scans: list[TrainingScan], config: SliceConfig, generator: torch.Generator
) -> TrainingScan:
    """Choose a scan or a label map."""
    wanted = happens(config.synthetic, generator)
    chosen = [scan for scan in scans if scan.is_labels == wanted] or scans
    if not wanted and happens(config.isotropic, generator):
        chosen = [scan for scan in chosen if len(scan.sharp_axes) == 3] or chosen
    return chosen[integer(len(chosen), generator)]


def turn(scan: TrainingScan, generator: torch.Generator) -> torch.Tensor:
    """Move two sharp axes first, in a random order, mirrored at random."""
    planes = list(combinations(scan.sharp_axes, 2))
    plane = list(planes[integer(len(planes), generator)])
    if happens(0.5, generator):
        plane.reverse()
    across = next(axis for axis in range(3) if axis not in plane)
    voxels = scan.voxels.permute(*plane, across)
    return voxels.flip([axis for axis in range(2) if happens(0.5, generator)])


def draw_side(config: SliceConfig, generator: torch.Generator) -> int:
    """Draw how many pixels of a scan become a side of a slice."""
    if not happens(config.resized, generator):
        return config.size
    factor = math.exp(uniform(-math.log(config.enlarged), math.log(config.reduced), generator))
    return round(config.size * factor)


def resize(m: torch.Tensor, size: int) -> torch.Tensor:
    """Resample a slice to so many pixels a side."""
    if m.shape[0] == size:
        return m
    resized = functional.interpolate(
        m[None, None], size=(size, size), mode="bicubic", antialias=True
    )
    return resized[0, 0].clamp(min=0.0)


def with_phase(m: torch.Tensor, config: SliceConfig, generator: torch.Generator) -> torch.Tensor:
    """Give a magnitude the shading of coils and a smooth phase, shape (2, size, size)."""
    if happens(0.5, generator):
        m = m * draw_bias(torch.Size((*m.shape, 1)), config.bias, generator)[..., 0]
    n_knots = 3 + integer(6, generator)
    strength = 3.0 / n_knots * uniform(0.0, config.phase, generator)
    phase = smooth_field(n_knots, strength, m.shape, generator)
    for axis, n in enumerate(m.shape):
        slope = uniform(-config.ramp, config.ramp, generator)
        positions = torch.arange(n, dtype=m.dtype)
        phase = phase + slope * (positions[:, None] if axis == 0 else positions)
    phase = phase + uniform(0.0, 2.0 * math.pi, generator)
    return torch.stack([m * phase.cos(), m * phase.sin()])


def smooth_field(
    n_knots: int, strength: float, shape: torch.Size, generator: torch.Generator
) -> torch.Tensor:
    """Draw a smooth field of zero mean.

    Args:
        n_knots: Knots a side between which it is interpolated.
        strength: Standard deviation at the knots.
        shape: Its two lengths.
        generator: Source of randomness.
    """
    knots = strength * torch.randn((1, 1, n_knots, n_knots), generator=generator)
    size = (shape[0], shape[1])
    return functional.interpolate(knots, size=size, mode="bicubic", align_corners=True)[0, 0]
