"""Contrasts of whole batches, drawn on the device: of real patches, and of painted label maps.

The same kinds of images as `training.patches` and `training.synthetic` draw one by one.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from inversesr.training.synthetic import (
    FIRST_OUTSIDE_BRAIN,
    SyntheticConfig,
    draw_palette,
    draw_texture_amounts,
    is_brain,
)

MOST_LESIONS = 4
BLUR_REACH = 2


def uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw one number a patch between low and high, shape (n, 1, 1, 1)."""
    drawn = torch.rand(n, generator=generator, device=generator.device)
    return (low + (high - low) * drawn)[:, None, None, None]


def normal(n: int, generator: torch.Generator) -> Tensor:
    """Draw one standard normal number a patch, shape (n, 1, 1, 1)."""
    return torch.randn(n, generator=generator, device=generator.device)[:, None, None, None]


def vary_contrast(patches: Tensor, generator: torch.Generator) -> Tensor:
    """Change gamma, brightness, bias and now and then the sign of the contrast.

    Args:
        patches: About [0, 1], shape (N, X, Y, Z), on the generator's device.
        generator: Source of randomness.
    """
    n = len(patches)
    varied = patches ** (0.2 * normal(n, generator)).exp()
    inverted = (patches > 0) * (1.1 - varied).clamp(min=0.0)
    varied = torch.where(uniform(n, 0.0, 1.0, generator) < 0.1, inverted, varied)
    has_bias = uniform(n, 0.0, 1.0, generator) < 0.5
    biased = varied * draw_bias(patches.shape, 0.15, generator)
    varied = torch.where(has_bias, biased, varied)
    return varied * uniform(n, 0.8, 1.2, generator)


def paint(
    labels: Tensor, config: SyntheticConfig, generator: torch.Generator, few: torch.Generator
) -> Tensor:
    """Turn label maps into images; see `training.synthetic.paint`.

    Args:
        labels: FreeSurfer labels below 1024, int64, shape (N, X, Y, Z).
        config: How varied the images are.
        generator: Source of randomness on the device.
        few: Source of the few numbers a patch that are drawn on the processor.
    """
    n, device = len(labels), labels.device
    stripped = uniform(n, 0.0, 1.0, generator) < config.stripped
    labels = torch.where(stripped & (labels >= FIRST_OUTSIDE_BRAIN), 0, labels)
    palettes = torch.stack([draw_palette(config, few) for _ in range(n)]).to(device)
    amounts = torch.stack([draw_texture_amounts(config, few) for _ in range(n)]).to(device)
    image = _look_up(palettes, labels)
    has_lesions = uniform(n, 0.0, 1.0, generator) < config.lesions
    image = torch.where(has_lesions, paint_lesions(image, is_brain(labels), generator), image)
    image = image + _look_up(amounts, labels) * draw_texture(labels.shape, generator)
    image = blur(image, uniform(n, 0.3, config.blur, generator)).clamp(min=0.0)
    image = image ** (config.gamma * normal(n, generator)).exp()
    return image * draw_bias(labels.shape, config.bias, generator)


def paint_lesions(image: Tensor, brain: Tensor, generator: torch.Generator) -> Tensor:
    """Paint one to four blobs of any brightness into each brain."""
    n, shape, device = len(image), image.shape[1:], image.device
    wobble = enlarge(_randn((n, *(max(2, size // 6) for size in shape)), generator), shape)
    count = 1.0 + (MOST_LESIONS * uniform(n, 0.0, 1.0, generator)).floor()
    for number in range(MOST_LESIONS):
        distance = 0.3 * wobble
        for axis, size in enumerate(shape):
            line = torch.arange(size, device=device, dtype=image.dtype)
            along = line.reshape([size if a == axis else 1 for a in range(3)])
            centre, radius = (
                uniform(n, low, high, generator) for low, high in ((0.0, size), (1.5, 7.0))
            )
            distance = distance + ((along - centre) / radius) ** 2
        share = torch.sigmoid(4.0 * (1.0 - distance)) * brain * (count > number)
        image = image + share * (uniform(n, 0.0, 1.0, generator) - image)
    return image


def draw_texture(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Draw unit noise that is half fine grain and half blotches a few voxels wide."""
    coarse = _randn((shape[0], *(max(2, n // 3) for n in shape[1:])), generator)
    grain = _randn(tuple(shape), generator)
    return (grain + 1.5 * enlarge(coarse, shape[1:])) * math.sqrt(0.5)


def draw_bias(shape: torch.Size, strength: float, generator: torch.Generator) -> Tensor:
    """Draw smooth positive fields around one, shape (N, X, Y, Z)."""
    return enlarge(strength * _randn((shape[0], 3, 3, 3), generator), shape[1:]).exp()


def enlarge(fields: Tensor, shape: torch.Size) -> Tensor:
    """Interpolate coarse fields, shape (N, x, y, z), to a shape (X, Y, Z)."""
    fine = functional.interpolate(
        fields[:, None], size=list(shape), mode="trilinear", align_corners=True
    )
    return fine[:, 0]


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image by a Gaussian of its own, the same along every axis.

    Args:
        images: Shape (N, X, Y, Z).
        sigma: Standard deviations in voxels, shape (N, 1, 1, 1).
    """
    n = len(images)
    offsets = torch.arange(-BLUR_REACH, BLUR_REACH + 1, device=images.device, dtype=images.dtype)
    kernels = torch.exp(-0.5 * (offsets / sigma.reshape(n, 1)) ** 2)
    kernels = kernels / kernels.sum(dim=1, keepdim=True)
    blurred = images[None]
    for axis in range(3):
        size, padding = [1, 1, 1], [0, 0, 0]
        size[axis], padding[axis] = len(offsets), BLUR_REACH
        blurred = functional.conv3d(
            blurred, kernels.reshape(n, 1, *size), padding=padding, groups=n
        )
    return blurred[0]


def _look_up(tables: Tensor, labels: Tensor) -> Tensor:
    """Return for each voxel what the table of its patch says of its label."""
    return torch.gather(tables, 1, labels.flatten(1)).reshape(labels.shape)


def _randn(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)
