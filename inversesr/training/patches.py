"""Draws training patches: sharp images in which the last axis is a sharp one."""

import math
from dataclasses import dataclass, field

import torch

from inversesr.priors.slice_examples import SliceExamples, collate
from inversesr.training.degradation import DegradationConfig, degrade
from inversesr.training.random import happens, integer, normal, uniform
from inversesr.training.synthetic import SyntheticConfig, draw_bias, paint
from inversesr.training.training_scan import TrainingScan

# Places tried before a patch with too much background is accepted.
N_TRIES = 8


@dataclass(frozen=True)
class PatchConfig:
    """What patches look like.

    Attributes:
        shape: Lengths of a patch in voxels, slices along the last.
        n_patches: Patches in a batch.
        synthetic: Share of patches painted from label maps, where there are any.
        foreground: Share of a patch that must not be background.
        degradation: The thick slices that are made of a patch.
        contrast: How varied painted patches are.
    """

    shape: tuple[int, int, int] = (48, 48, 64)
    n_patches: int = 4
    synthetic: float = 0.3
    foreground: float = 0.25
    degradation: DegradationConfig = field(default_factory=DegradationConfig)
    contrast: SyntheticConfig = field(default_factory=SyntheticConfig)


def draw_batch(
    scans: list[TrainingScan], config: PatchConfig, generator: torch.Generator
) -> SliceExamples:
    """Draw patches, degrade each by slices of its own, and stack them."""
    patches = [draw_patch(scans, config, generator) for _ in range(config.n_patches)]
    return collate([degrade(patch, config.degradation, generator) for patch in patches])


def draw_patch(
    scans: list[TrainingScan], config: PatchConfig, generator: torch.Generator
) -> torch.Tensor:
    """Draw one sharp patch with an augmented contrast, its last axis a sharp one."""
    wanted = happens(config.synthetic, generator)
    chosen = [scan for scan in scans if scan.is_labels == wanted] or scans
    scan = chosen[integer(len(chosen), generator)]
    voxels = orient(scan, generator)
    patch = cut_filled(voxels, config.shape, config.foreground, generator)
    if scan.is_labels:
        return paint(patch, config.contrast, generator)
    return vary_contrast(patch.float() / scan.white, generator)


def orient(scan: TrainingScan, generator: torch.Generator) -> torch.Tensor:
    """Move a sharp axis last, order the other two at random, and mirror at random."""
    last = scan.sharp_axes[integer(len(scan.sharp_axes), generator)]
    others = [axis for axis in range(3) if axis != last]
    if happens(0.5, generator):
        others.reverse()
    voxels = scan.voxels.permute(*others, last)
    return voxels.flip([axis for axis in range(3) if happens(0.5, generator)])


def cut_filled(
    voxels: torch.Tensor,
    shape: tuple[int, int, int],
    foreground: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """Cut a patch of which at least a share is not background, if some tries find one."""
    patch = cut(voxels, shape, generator)
    for _ in range(N_TRIES):
        if float((patch > 0).float().mean()) >= foreground:
            break
        patch = cut(voxels, shape, generator)
    return patch


def cut(
    voxels: torch.Tensor, shape: tuple[int, int, int], generator: torch.Generator
) -> torch.Tensor:
    """Cut a patch at a random place; where the volume is too short, zeros follow."""
    patch = torch.zeros(shape, dtype=voxels.dtype)
    room = [max(1, n - m + 1) for n, m in zip(voxels.shape, shape, strict=True)]
    corner = [integer(n, generator) for n in room]
    inside = voxels[tuple(slice(c, c + m) for c, m in zip(corner, shape, strict=True))]
    patch[tuple(slice(0, n) for n in inside.shape)] = inside
    return patch


def vary_contrast(patch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Change gamma, brightness, bias and now and then the sign of the contrast."""
    varied = patch ** math.exp(0.2 * normal(generator))
    if happens(0.1, generator):
        varied = (patch > 0) * (1.1 - varied).clamp(min=0.0)
    if happens(0.5, generator):
        varied = varied * draw_bias(patch.shape, 0.15, generator)
    return varied * uniform(0.8, 1.2, generator)
