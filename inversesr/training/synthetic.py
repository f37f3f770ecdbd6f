"""Images of any contrast painted from label maps, so that networks do not depend on T1 contrast.

    image = bias * (blur(mean[label] + texture[label]))^gamma

Reference: Billot et al. (2023), SynthSeg: segmentation of brain MRI scans of any contrast and
resolution without retraining, Medical Image Analysis 86:102789, doi:10.1016/j.media.2023.102789.
"""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from inversesr.training.random import happens, integer, normal, uniform

# FreeSurfer numbers: a structure of the right half looks like its twin in the left half.
LEFT_OF_RIGHT = {
    41: 2, 42: 3, 43: 4, 44: 5, 46: 7, 47: 8, 49: 10, 50: 11, 51: 12, 52: 13, 53: 17, 54: 18,
    57: 25, 58: 26, 60: 28, 62: 30, 137: 136, 164: 163,
}  # fmt: skip
WHITE_MATTER = (2, 7, 16, 28, 85)
FLUID = (4, 5, 14, 15, 24, 72)
WHITE_OF_BOTH_SIDES, FLUID_OF_BOTH_SIDES = (
    (*tissue, *(right for right, left in LEFT_OF_RIGHT.items() if left in tissue))
    for tissue in (WHITE_MATTER, FLUID)
)
FIRST_OUTSIDE_BRAIN = 500
N_LABELS = 1024
# mean intensities of white matter, grey matter and fluid
CONTRASTS = {
    "T1w": (0.85, 0.6, 0.2),
    "T2w": (0.35, 0.55, 1.0),
    "FLAIR": (0.45, 0.6, 0.1),
    "PDw": (0.55, 0.75, 0.9),
}


@dataclass(frozen=True)
class SyntheticConfig:
    """How varied the painted images are.

    Attributes:
        familiar: Share of images with the tissue order of a real contrast; the rest is free.
        contrasts: Which contrasts these are.
        stripped: Share of images without skull.
        lesions: Share of images with lesions.
        jitter: Standard deviation of a structure's intensity around its tissue.
        texture: Largest standard deviation within a structure.
        blur: Largest standard deviation of the blur in voxels.
        bias: Standard deviation of the logarithm of the bias field.
        gamma: Standard deviation of the logarithm of the exponent.
    """

    familiar: float = 0.5
    contrasts: tuple[str, ...] = tuple(CONTRASTS)
    stripped: float = 0.6
    lesions: float = 0.3
    jitter: float = 0.06
    texture: float = 0.06
    blur: float = 0.7
    bias: float = 0.2
    gamma: float = 0.25


def paint(
    labels: torch.Tensor, config: SyntheticConfig, generator: torch.Generator
) -> torch.Tensor:
    """Turn a label map into an image.

    Args:
        labels: FreeSurfer labels, integers below 1024, shape (X, Y, Z).
        config: How varied the images are.
        generator: Source of randomness.

    Returns:
        Image of the same shape, float32, about [0, 1], background near zero.
    """
    labels = labels.long()
    if happens(config.stripped, generator):
        labels = torch.where(labels < FIRST_OUTSIDE_BRAIN, labels, 0)
    image = draw_palette(config, generator)[labels]
    if happens(config.lesions, generator):
        image = paint_lesions(image, is_brain(labels), generator)
    amount = draw_texture_amounts(config, generator)[labels]
    image = image + amount * draw_texture(labels.shape, generator)
    image = blur(image, uniform(0.3, config.blur, generator)).clamp(min=0.0)
    image = image ** math.exp(config.gamma * normal(generator))
    return image * draw_bias(labels.shape, config.bias, generator)


def is_brain(labels: torch.Tensor) -> torch.Tensor:
    """Mark the voxels of the brain and of the fluid in it."""
    return (labels > 0) & (labels < FIRST_OUTSIDE_BRAIN)


def draw_palette(config: SyntheticConfig, generator: torch.Generator) -> torch.Tensor:
    """Draw the mean intensity of every label, shape (1024,); the background is black."""
    palette = torch.rand(N_LABELS, generator=generator)
    if happens(config.familiar, generator):
        name = config.contrasts[integer(len(config.contrasts), generator)]
        white, grey, fluid = CONTRASTS[name]
        tissue = torch.full((FIRST_OUTSIDE_BRAIN,), grey)
        tissue[list(WHITE_MATTER)] = white
        tissue[list(FLUID)] = fluid
        shift = config.jitter * torch.randn(FIRST_OUTSIDE_BRAIN, generator=generator)
        palette[:FIRST_OUTSIDE_BRAIN] = (tissue + shift).clamp(0.02, 1.0)
    return fold_sides(palette)


def draw_texture_amounts(config: SyntheticConfig, generator: torch.Generator) -> torch.Tensor:
    """Draw how strongly each label varies within itself, shape (1024,)."""
    return fold_sides(config.texture * torch.rand(N_LABELS, generator=generator))


def fold_sides(values: torch.Tensor) -> torch.Tensor:
    """Give structures of the right half the values of the left, and the background zero."""
    folded = values.clone()
    folded[list(LEFT_OF_RIGHT)] = values[list(LEFT_OF_RIGHT.values())]
    folded[0] = 0.0
    return folded


def draw_texture(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Draw unit noise that is half fine grain and half blotches a few voxels wide."""
    grain = torch.randn(shape, generator=generator)
    coarse = torch.randn([max(2, n // 3) for n in shape], generator=generator)
    return (grain + 1.5 * enlarge(coarse, shape)) * math.sqrt(0.5)


def draw_bias(shape: torch.Size, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Draw a smooth positive field around one."""
    logarithm = enlarge(strength * torch.randn((3, 3, 3), generator=generator), shape)
    return logarithm.exp()


def enlarge(field: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Interpolate a coarse field to a shape."""
    fine = functional.interpolate(
        field[None, None], size=list(shape), mode="trilinear", align_corners=True
    )
    return fine[0, 0]


def blur(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Blur with a Gaussian of a few voxels' support, the same along every axis."""
    offsets = torch.arange(-2, 3, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    blurred = image[None, None]
    for axis in range(3):
        shape, padding = [1, 1, 1, 1, 1], [0, 0, 0]
        shape[axis + 2], padding[axis] = len(kernel), 2
        blurred = functional.conv3d(blurred, kernel.reshape(shape), padding=padding)
    return blurred[0, 0]


def paint_lesions(
    image: torch.Tensor, brain: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Paint one to four blobs of any brightness into the brain."""
    axes = torch.meshgrid(*[torch.arange(n) for n in image.shape], indexing="ij")
    wobble = enlarge(torch.randn([max(2, n // 6) for n in image.shape], generator=generator),
                     image.shape)  # fmt: skip
    for _ in range(1 + integer(4, generator)):
        distance = 0.3 * wobble
        for position, n in zip(axes, image.shape, strict=True):
            radius = uniform(1.5, 7.0, generator)
            distance = distance + ((position - uniform(0, n, generator)) / radius) ** 2
        share = torch.sigmoid(4.0 * (1.0 - distance)) * brain
        image = image + share * (uniform(0.0, 1.0, generator) - image)
    return image
