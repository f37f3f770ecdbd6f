"""Draws heads of any contrast and their brain masks, to train the network that finds the brain.

    image = slices(warp(paint(labels)) + noise)       mask = warp(brain(labels))

Both lie on the canonical grid of `acquisition.brain_network`. A voxel of the mask holds the share
of it that is brain.

References: Hoopes, Mora, Dalca, Fischl, Hoffmann (2022), SynthStrip: skull-stripping for any brain
image, NeuroImage 260:119474, doi:10.1016/j.neuroimage.2022.119474; Billot et al. (2023), see
`training.synthetic`.
"""

import math
from dataclasses import dataclass, field

import torch
from torch.nn import functional

from inversesr.acquisition.brain_network import VOXEL_MM, normalised
from inversesr.training.brain_labels import FINE, LabelledHead
from inversesr.training.random import happens, integer, normal, uniform
from inversesr.training.synthetic import (
    FIRST_OUTSIDE_BRAIN,
    N_LABELS,
    SyntheticConfig,
    blur,
    draw_bias,
    draw_palette,
    draw_texture,
    draw_texture_amounts,
    enlarge,
    paint_lesions,
)

Box = tuple[slice, slice, slice]
# Labels of the skull in the maps of SynthSeg: no scanner shows compact bone bright.
SKULL = (511, 515)
# voxels about the brain that are not cut away with a face
DEFACING_MARGIN = 2


@dataclass(frozen=True)
class HeadConfig:
    """Which heads are drawn.

    Attributes:
        shape: Voxels of the canonical grid of an example.
        contrast: How varied the contrasts are.
        degrees: Largest rotation about each axis.
        scaling: Standard deviation of the logarithm of the size along each axis.
        shift_mm: Standard deviation of the shift.
        warp_mm: Standard deviation of the smooth deformation.
        thick: Share of heads in thick slices.
        max_thickness_mm: Distance between the thickest slices.
        max_noise: Largest noise standard deviation.
        cropped: Share of the six faces at which the field of view ends near the head.
        dark_skull: Share of heads whose skull is darker than the rest.
        defaced: Share of heads without a face.
    """

    shape: tuple[int, int, int] = (64, 80, 80)
    contrast: SyntheticConfig = field(
        default_factory=lambda: SyntheticConfig(familiar=0.6, stripped=0.15, bias=0.3)
    )
    degrees: float = 20.0
    scaling: float = 0.08
    shift_mm: float = 6.0
    warp_mm: float = 4.0
    thick: float = 0.65
    max_thickness_mm: float = 9.0
    max_noise: float = 0.08
    cropped: float = 0.6
    dark_skull: float = 0.6
    defaced: float = 0.15


@dataclass(frozen=True, eq=False)
class HeadExample:
    """A head and its brain.

    Attributes:
        image: Normalised intensities, shape (1, 1, X, Y, Z).
        mask: Share of each voxel that is brain, 0 to 1, of the same shape.
    """

    image: torch.Tensor
    mask: torch.Tensor


def draw_head(
    heads: list[LabelledHead], config: HeadConfig, generator: torch.Generator
) -> HeadExample:
    """Draw an example from label maps.

    Args:
        heads: Label maps to choose from.
        config: Which heads are drawn.
        generator: Source of randomness.
    """
    head = heads[integer(len(heads), generator)]
    image = paint_head(head, config, generator)
    both = torch.stack([image, head.mask.float() / 255.0])
    if happens(0.5, generator):
        both = both.flip(1)
    places = draw_places(both.shape[1:], config, generator)
    both = functional.grid_sample(both[None], places, align_corners=True)[0]
    image, mask = both[0], both[1]
    if happens(config.defaced, generator):
        image = deface(image, mask, generator)
    image = image * draw_bias(image.shape, config.contrast.bias, generator)
    if happens(config.thick, generator):
        axis, slices = integer(3, generator), uniform(VOXEL_MM, config.max_thickness_mm, generator)
        matrix = thick_slices(config.shape[axis], slices / VOXEL_MM, generator)
        image = torch.tensordot(image, matrix, dims=([axis], [1])).movedim(-1, axis)
    image = add_noise(image, uniform(0.0, config.max_noise, generator), generator)
    box = draw_field_of_view(mask, config, generator)
    seen, inside = torch.zeros_like(image), torch.zeros_like(mask)
    seen[box], inside[box] = normalised(image[box]), mask[box]
    return HeadExample(seen[None, None], inside[None, None])


def paint_head(head: LabelledHead, config: HeadConfig, generator: torch.Generator) -> torch.Tensor:
    """Paint a label map; voxels of the canonical grid are means over finer ones."""
    contrast = config.contrast
    palette = draw_palette(contrast, generator)
    outside = torch.arange(N_LABELS) >= FIRST_OUTSIDE_BRAIN
    palette[outside] *= uniform(0.3, 1.0, generator)
    if happens(config.dark_skull, generator):
        palette[list(SKULL)] *= uniform(0.0, 0.5, generator)
    amounts = draw_texture_amounts(contrast, generator)
    if happens(contrast.stripped, generator):
        palette[outside], amounts[outside] = 0.0, 0.0
    fine = palette[head.labels.int()]
    image = functional.avg_pool3d(fine[None, None], FINE)[0, 0]
    if happens(contrast.lesions, generator):
        image = paint_lesions(image, head.mask > 127, generator)
    some = head.labels[::FINE, ::FINE, ::FINE].int()
    image = image + amounts[some] * draw_texture(image.shape, generator)
    image = blur(image, uniform(0.3, contrast.blur, generator)).clamp(min=0.0)
    return image ** math.exp(contrast.gamma * normal(generator))


def draw_places(
    source: torch.Size, config: HeadConfig, generator: torch.Generator
) -> torch.Tensor:
    """Draw where the voxels of an example lie in the painted head, shape (1, X, Y, Z, 3).

    Args:
        source: Shape of the painted head.
        config: Rotation, scaling, shift and deformation.
        generator: Source of randomness.

    Returns:
        Coordinates from -1 to 1, the last axis first, as `grid_sample` takes them.
    """
    matrix = rotation(config.degrees, generator)
    matrix = matrix * torch.tensor(
        [math.exp(config.scaling * normal(generator)) for _ in range(3)]
    )
    axes = [torch.arange(n) - (n - 1) / 2.0 for n in config.shape]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    coarse = torch.randn((3, 5, 6, 6), generator=generator) * config.warp_mm / VOXEL_MM
    warp = torch.stack([enlarge(part, torch.Size(config.shape)) for part in coarse], dim=-1)
    shift = torch.randn(3, generator=generator) * config.shift_mm / VOXEL_MM
    half = (torch.tensor(source) - 1) / 2.0
    return ((grid @ matrix.T + warp + shift) / half).flip(-1)[None]


def rotation(degrees: float, generator: torch.Generator) -> torch.Tensor:
    """Draw a rotation by up to some degrees about each axis, shape (3, 3)."""
    matrix = torch.eye(3)
    for axis in range(3):
        angle = math.radians(uniform(-degrees, degrees, generator))
        a, b = (axis + 1) % 3, (axis + 2) % 3
        turn = torch.eye(3)
        turn[a, a] = turn[b, b] = math.cos(angle)
        turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
        matrix = matrix @ turn
    return matrix


def thick_slices(n: int, thickness: float, generator: torch.Generator) -> torch.Tensor:
    """Return what cuts an axis into thick slices and interpolates them linearly, shape (n, n).

    Args:
        n: Voxels along the axis.
        thickness: Distance between slices in voxels; a gap of up to a third of it is drawn.
        generator: Source of randomness.
    """
    thickness = max(thickness, 1.0)
    n_slices = max(2, math.ceil(n / thickness))
    centres = (torch.arange(n_slices) + uniform(0.0, 1.0, generator)) * thickness - 0.5
    width = max(1.0, thickness * (1.0 - uniform(0.0, 1.0 / 3.0, generator)))
    positions = torch.arange(n)
    away = (centres[:, None] - positions).abs()
    weights = ((width + 1.0) / 2.0 - away).clamp(0.0, 1.0)
    measured = weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-6)
    held = positions.clamp(float(centres[0]), float(centres[-1]))
    hats = (1.0 - (held[:, None] - centres).abs() / thickness).clamp(min=0.0)
    return hats @ measured


def add_noise(image: torch.Tensor, sigma: float, generator: torch.Generator) -> torch.Tensor:
    """Return the magnitude of an image with complex noise."""
    real = image + sigma * torch.randn(image.shape, generator=generator)
    imaginary = sigma * torch.randn(image.shape, generator=generator)
    return torch.hypot(real, imaginary)


def deface(image: torch.Tensor, mask: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Cut away what lies in front of and below a plane, except near the brain."""
    size = 2 * DEFACING_MARGIN + 1
    near = functional.max_pool3d(mask[None, None], size, 1, DEFACING_MARGIN)[0, 0] > 0
    front, top = mask.amax(dim=(0, 2)).nonzero().max(), mask.amax(dim=(0, 1)).nonzero().max()
    y = torch.arange(image.shape[1])[:, None] - float(front)
    z = torch.arange(image.shape[2])[None, :] - float(top)
    is_face = y > uniform(0.3, 1.0, generator) * z + uniform(10.0, 45.0, generator) / VOXEL_MM
    return torch.where(is_face & ~near, 0.0, image)


def draw_field_of_view(mask: torch.Tensor, config: HeadConfig, generator: torch.Generator) -> Box:
    """Draw the box that the scanner sees: near the brain on some sides, seldom inside it."""
    sides = []
    for axis, n in enumerate(mask.shape):
        others = [other for other in range(3) if other != axis]
        inside = (mask.amax(dim=others) > 0.5).nonzero().flatten().tolist() or [0, n - 1]
        cuts = []
        for room in (inside[0], n - 1 - inside[-1]):
            into = 12.0 / VOXEL_MM if happens(0.1, generator) else 0.0
            is_cut = happens(config.cropped, generator)
            cuts.append(int(uniform(0.0, room + into, generator)) if is_cut else 0)
        sides.append(slice(cuts[0], n - cuts[1]))
    return sides[0], sides[1], sides[2]
