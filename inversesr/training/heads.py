"""Draws heads of any contrast at 2 mm, with the brain marked, from whole-head label maps.

A window is sampled from a label map through a random rotation, scaling and bending, painted, cut
into thick slices along a random axis and laid back onto 2 mm, as `priors.brainmask` does it.

Reference: Hoopes, Mora, Dalca, Fischl, Hoffmann (2022), SynthStrip: skull-stripping for any brain
image, NeuroImage 260:119474, doi:10.1016/j.neuroimage.2022.119474.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from inversesr.nifti import read_scan
from inversesr.priors.brainmask import (
    SPACING_MM,
    Mask,
    one_piece,
    ras_order,
    respace,
    scale_intensities,
    to_ras,
)
from inversesr.training.random import happens, integer, uniform
from inversesr.training.synthetic import (
    FIRST_OUTSIDE_BRAIN,
    SyntheticConfig,
    enlarge,
    paint,
)

# FreeSurfer's label of fluid outside the ventricles: in sulci and around the brain, but in these
# maps also in the spinal canal and in specks of the background
OUTER_FLUID = 24
# gaps up to twice this width are bridged, which fills sulci and fissures
CLOSING_MM = 6.0
# fluid up to this far from the closed surface counts as brain
MARGIN_MM = 1.0
# this far below the closed surface everything counts as brain: vessels, folds of the dura
DEEP_MM = 5.0
# added to a label, it says that the voxel lies in the mask
INSIDE = 1024
# added to a label outside the brain, once or more, it makes another tissue of it
NEXT_TISSUE = 40


@dataclass(frozen=True, eq=False)
class Head:
    """A whole-head label map.

    Attributes:
        labels: FreeSurfer labels, plus INSIDE in the brain mask, int16, RAS axes.
        spacing_mm: Voxel size along each axis.
        centre: Middle of the mask in voxels.
    """

    labels: torch.Tensor
    spacing_mm: tuple[float, ...]
    centre: tuple[float, ...]


@dataclass(frozen=True)
class HeadConfig:
    """What heads look like.

    Attributes:
        shape: Voxels of 2 mm along each axis.
        rotation_degrees: Largest turn about each axis.
        scaling: Largest logarithm of the scaling of each axis.
        bending_mm: Standard deviation of the knots of the bending field.
        shift_mm: Largest distance along each axis from the middle of the brain to that of the
            window.
        stripped: Share of heads of which only the brain is left.
        cropped: Share of these that are cropped to the brain.
        tissues: Most kinds of tissue into which each label outside the brain is broken.
        thick: Share of heads with thick slices.
        min_thickness_mm: Thinnest of these.
        max_thickness_mm: Thickest of these.
        partial: Share of heads of which only a part was scanned.
        noisy: Share of heads with noise.
        max_noise: Largest noise standard deviation.
        contrast: How varied the painting is.
    """

    shape: tuple[int, int, int] = (80, 96, 96)
    rotation_degrees: float = 20.0
    scaling: float = 0.15
    bending_mm: float = 3.0
    shift_mm: tuple[float, float, float] = (25.0, 30.0, 40.0)
    stripped: float = 0.2
    cropped: float = 0.5
    tissues: int = 4
    thick: float = 0.6
    min_thickness_mm: float = 2.0
    max_thickness_mm: float = 8.0
    partial: float = 0.35
    noisy: float = 0.7
    max_noise: float = 0.08
    contrast: SyntheticConfig = field(
        default_factory=lambda: SyntheticConfig(
            stripped=0.0, lesions=0.4, jitter=0.08, texture=0.1, bias=0.4, gamma=0.35
        )
    )


@dataclass(frozen=True, eq=False)
class Example:
    """Painted heads and where their brains are.

    Attributes:
        image: What the network sees, shape (B, 1, X, Y, Z).
        brain: 1 in the brain, else 0, same shape.
        scanned: 1 where there was a scan, else 0, same shape.
    """

    image: torch.Tensor
    brain: torch.Tensor
    scanned: torch.Tensor


def read_head(path: Path) -> Head:
    """Read a label map, turn it to RAS axes and mark its brain mask."""
    volume = read_scan(path).volume
    order, flips = ras_order(volume.grid)
    labels = np.ascontiguousarray(to_ras(volume.data, order, flips)).astype(np.int16)
    spacing_mm = tuple(volume.grid.spacing_mm[axis] for axis in order)
    inside = mask_of_labels(labels, spacing_mm)
    corners = [np.flatnonzero(inside.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    centre = tuple(float(found[0] + found[-1]) / 2.0 for found in corners)
    return Head(torch.from_numpy(labels + INSIDE * inside.astype(np.int16)), spacing_mm, centre)


def read_heads(paths: Iterable[Path]) -> list[Head]:
    """Read label maps."""
    return [read_head(path) for path in paths]


def mask_of_labels(labels: NDArray[np.int16], spacing_mm: tuple[float, ...]) -> Mask:
    """Return the mask that is taught: tissue, what it encloses, and a thin coat of fluid.

    Args:
        labels: FreeSurfer labels, 500 and above outside the brain, shape (X, Y, Z).
        spacing_mm: Voxel size along each axis.
    """
    brain = (labels > 0) & (labels < FIRST_OUTSIDE_BRAIN)
    tissue = one_piece(brain & (labels != OUTER_FLUID))
    box = box_about(tissue, [math.ceil(2.0 * CLOSING_MM / s) for s in spacing_mm])
    near = ndimage.distance_transform_edt(~tissue[box], spacing_mm) <= CLOSING_MM
    depth = ndimage.distance_transform_edt(near, spacing_mm)
    deep = depth > CLOSING_MM + DEEP_MM
    closed = (depth > CLOSING_MM - MARGIN_MM) & (brain[box] | deep)
    mask = np.zeros(labels.shape, dtype=np.bool_)
    mask[box] = one_piece(closed | tissue[box])
    return mask


def box_about(mask: Mask, margins: Iterable[int]) -> tuple[slice, ...]:
    """Return the box of voxels about a mask, widened within the image."""
    found = ndimage.find_objects(mask.astype(np.int8))[0]
    return tuple(
        slice(max(0, side.start - margin), side.stop + margin)
        for side, margin in zip(found, margins, strict=True)
    )


def draw_example(heads: list[Head], config: HeadConfig, generator: torch.Generator) -> Example:
    """Draw one painted head, a batch of one."""
    head = heads[integer(len(heads), generator)]
    labels = sample_labels(head, config, generator)
    inside = labels >= INSIDE
    labels = torch.where(inside, labels - INSIDE, labels)
    stripped = happens(config.stripped, generator)
    if stripped:
        labels = torch.where(inside, labels, 0)
    labels = break_tissues(labels, config.tissues, generator)
    image = paint(labels, config.contrast, generator)
    if happens(config.thick, generator):
        thickness_mm = uniform(config.min_thickness_mm, config.max_thickness_mm, generator)
        image = thicken(image, thickness_mm, integer(3, generator))
    if happens(config.noisy, generator):
        image = add_noise(image, uniform(0.0, config.max_noise, generator), generator)
    if stripped and happens(config.cropped, generator):
        scanned = box_of_content(labels > 0)
    else:
        scanned = torch.ones(labels.shape, dtype=torch.bool)
    if happens(config.partial, generator):
        scanned = draw_field_of_view(scanned, generator)
    image = scale_scanned(image, scanned)
    return Example(image[None, None], inside[None, None].float(), scanned[None, None].float())


def sample_labels(head: Head, config: HeadConfig, generator: torch.Generator) -> torch.Tensor:
    """Sample a moved, scaled and bent label map at 2 mm by the nearest voxel."""
    linear = draw_linear(config, generator)
    offsets = [
        ((torch.arange(n) - (n - 1) / 2.0) * SPACING_MM).reshape([-1, 1, 1][: 3 - axis])
        for axis, n in enumerate(config.shape)
    ]
    inside = torch.ones(config.shape, dtype=torch.bool)
    index = torch.zeros(config.shape, dtype=torch.int32)
    for axis, n in enumerate(head.labels.shape):
        shift = config.shift_mm[axis] * uniform(-1.0, 1.0, generator)
        knots = config.bending_mm * torch.randn((5, 5, 5), generator=generator)
        position = enlarge(knots, torch.Size(config.shape)).add_(shift)
        for other in range(3):
            position += linear[axis, other] * offsets[other]
        voxel = (position / head.spacing_mm[axis] + head.centre[axis]).round_().int()
        inside &= (voxel >= 0) & (voxel < n)
        index = index.mul_(n).add_(voxel.clamp_(0, n - 1))
    return head.labels.flatten()[index].long() * inside


def draw_linear(config: HeadConfig, generator: torch.Generator) -> torch.Tensor:
    """Draw a rotation about three axes, a scaling and perhaps a swap of sides, shape (3, 3)."""
    linear = torch.eye(3)
    for axis in range(3):
        limit = math.radians(config.rotation_degrees)
        angle = uniform(-limit, limit, generator)
        first, second = [other for other in range(3) if other != axis]
        turn = torch.eye(3)
        turn[first, first] = turn[second, second] = math.cos(angle)
        turn[first, second], turn[second, first] = -math.sin(angle), math.sin(angle)
        linear = linear @ turn
    scales = [math.exp(config.scaling * uniform(-1.0, 1.0, generator)) for _ in range(3)]
    if happens(0.5, generator):
        scales[0] = -scales[0]
    return linear @ torch.diag(torch.tensor(scales))


def break_tissues(labels: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Break labels outside the brain into blotches that are painted differently."""
    n_kinds = 1 + integer(most, generator)
    knots = [max(2, n // 8) for n in labels.shape]
    field_ = enlarge(torch.randn(knots, generator=generator), labels.shape)
    # a normal deviate in (-1, 1) spreads over the middle kinds, the rest over the outer ones
    kinds = ((field_ + 0.7) / 1.4 * n_kinds).floor().clamp(0, n_kinds - 1).long()
    return torch.where(labels >= FIRST_OUTSIDE_BRAIN, labels + NEXT_TISSUE * kinds, labels)


def thicken(image: torch.Tensor, thickness_mm: float, axis: int) -> torch.Tensor:
    """Cut an image into touching thick slices along an axis and lay these back onto 2 mm."""
    fine_mm = [SPACING_MM] * 3
    shape, slices_mm = list(image.shape), list(fine_mm)
    slices_mm[axis] = thickness_mm
    shape[axis] = math.ceil(shape[axis] * SPACING_MM / thickness_mm)
    thick = respace(image, fine_mm, shape, slices_mm)
    return respace(thick, slices_mm, image.shape, fine_mm)


def add_noise(image: torch.Tensor, sigma: float, generator: torch.Generator) -> torch.Tensor:
    """Take the magnitude of an image with complex noise."""
    real = image + sigma * torch.randn(image.shape, generator=generator)
    return torch.hypot(real, sigma * torch.randn(image.shape, generator=generator))


def box_of_content(content: torch.Tensor) -> torch.Tensor:
    """Mark the smallest box that holds all marked voxels; everything if there are none."""
    box = torch.ones_like(content)
    for axis, others in enumerate(((1, 2), (0, 2), (0, 1))):
        filled = content.any(dim=others[1]).any(dim=others[0]).nonzero()
        if len(filled):
            box.narrow(axis, 0, int(filled[0])).fill_(value=False)
            end = int(filled[-1]) + 1
            box.narrow(axis, end, box.shape[axis] - end).fill_(value=False)
    return box


def draw_field_of_view(scanned: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Cut slabs off one or both ends of an axis."""
    axis, seen = integer(3, generator), scanned.clone()
    n = seen.shape[axis]
    for end in (0, 1):
        cut = int(n * uniform(0.0, 0.4, generator)) if happens(0.7, generator) else 0
        seen.narrow(axis, 0 if end == 0 else n - cut, cut).fill_(value=False)
    return seen


def scale_scanned(image: torch.Tensor, scanned: torch.Tensor) -> torch.Tensor:
    """Scale intensities by those that were scanned; the rest is zero, as padding is."""
    if scanned.all():
        return scale_intensities(image)
    scaled = torch.zeros_like(image)
    scaled[scanned] = scale_intensities(image[scanned])
    return scaled
