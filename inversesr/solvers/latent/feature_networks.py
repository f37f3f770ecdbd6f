"""Feature networks whose weights the user names: VGG-16 on slices, MedicalNet on volumes.

Weights are recognised by their shapes, whatever their names, so torchvision's VGG-16, that of the
LPIPS package (with its weights of channels) and MedicalNet's ResNets all fit.

Reference: Simonyan, Zisserman (2015), Very deep convolutional networks for large-scale image
recognition, arXiv:1409.1556; Chen, Ma, Zheng (2019), Med3D, arXiv:1904.00625.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from inversesr.errors import InputError
from inversesr.priors.conversion.unpickling import read_checkpoint

VGG_STAGES = (2, 2, 3, 3, 3)
VGG_WIDTHS = (64, 128, 256, 512, 512)
# ImageNet's mean and standard deviation, averaged over the three colours.
IMAGENET_MEAN, IMAGENET_SD = 0.449, 0.226
STEM_KERNEL = (7, 7, 7)
BATCH_NORM_EPS = 1e-5


@dataclass(frozen=True, eq=False)
class FeatureNetwork:
    """A frozen network that turns images into features.

    Attributes:
        is_planar: Whether it takes slices (N, 1, H, W) or a volume (1, 1, X, Y, Z).
        extract: The network.
    """

    is_planar: bool
    extract: Callable[[Tensor], tuple[Tensor, ...]]

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return features of unit length over the channels.

        Their shape is (N, C, H', W') for slices, (C, X', Y', Z') for a volume.
        """
        return self.extract(images)


def load_features(path: Path, device: torch.device) -> FeatureNetwork:
    """Read a feature network.

    Raises:
        InputError: the file is missing, unreadable, or no network of a known kind.
    """
    tensors = {name: t.float().to(device) for name, t in read_checkpoint(path).items()}
    planar = [name for name, t in tensors.items() if t.ndim == 4 and t.shape[2:] == (3, 3)]
    if [tensors[name].shape[0] for name in planar] == _vgg_widths():
        return FeatureNetwork(True, _vgg(tensors, planar))  # noqa: FBT003  (a field)
    stem = next((n for n, t in tensors.items() if t.ndim == 5 and t.shape[2:] == STEM_KERNEL), "")
    if stem.endswith("conv1.weight"):
        return FeatureNetwork(False, _medicalnet(tensors, stem))  # noqa: FBT003  (a field)
    message = (
        f"{path} holds no VGG-16 (13 convolutions of 3 x 3) and no MedicalNet ResNet; "
        "expected the state dictionary of one of them"
    )
    raise InputError(message)


def unit_length(features: Tensor, axis: int) -> Tensor:
    """Scale features to unit length over the channels."""
    return functional.normalize(features, dim=axis, eps=1e-6)


def _vgg_widths() -> list[int]:
    pairs = zip(VGG_STAGES, VGG_WIDTHS, strict=True)
    return [width for n, width in pairs for _ in range(n)]


def _vgg(tensors: dict[str, Tensor], names: list[str]) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """Return VGG-16 up to the last convolution of each stage, weighted by LPIPS if it is there."""
    layers = [(tensors[name], tensors[name.removesuffix("weight") + "bias"]) for name in names]
    lins = [t for t in tensors.values() if t.ndim == 4 and t.shape[0] == 1 and t.shape[2] == 1]
    weights = [t.clamp_min(0.0).sqrt() for t in lins] if len(lins) == len(VGG_STAGES) else None

    def extract(images: Tensor) -> tuple[Tensor, ...]:
        x = ((images - IMAGENET_MEAN) / IMAGENET_SD).expand(-1, 3, -1, -1)
        found, rest = [], iter(layers)
        for stage, n in enumerate(VGG_STAGES):
            x = functional.max_pool2d(x, 2, ceil_mode=True) if stage else x
            for _ in range(n):
                weight, bias = next(rest)
                x = functional.relu(functional.conv2d(x, weight, bias, padding=1))
            unit = unit_length(x, axis=1)
            found.append(unit if weights is None else unit * weights[stage])
        return tuple(found)

    return extract


def _medicalnet(tensors: dict[str, Tensor], stem: str) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """Return the stem and the first residual stage of a MedicalNet ResNet."""
    prefix = stem.removesuffix("conv1.weight")
    named = {name.removeprefix(prefix): t for name, t in tensors.items()}
    blocks = sorted({".".join(n.split(".")[:2]) for n in named if n.startswith("layer1.")})

    def extract(images: Tensor) -> tuple[Tensor, ...]:
        centred = (images - images.mean()) / images.std().clamp_min(1e-6)
        x = functional.conv3d(centred, named["conv1.weight"], stride=2, padding=3)
        x = functional.relu(_norm(x, named, "bn1"))
        found = [x[0]]
        x = functional.max_pool3d(x, 3, stride=2, padding=1)
        for block in blocks:
            x = _residual(x, named, block)
        return tuple(unit_length(f, axis=0) for f in (*found, x[0]))

    return extract


def _residual(x: Tensor, named: dict[str, Tensor], block: str) -> Tensor:
    """Apply a basic block or a bottleneck: convolutions with norms, and the input added."""
    h, n = x, 1
    while f"{block}.conv{n}.weight" in named:
        kernel = named[f"{block}.conv{n}.weight"]
        h = functional.relu(h) if n > 1 else h
        h = _norm(
            functional.conv3d(h, kernel, padding=kernel.shape[2] // 2), named, f"{block}.bn{n}"
        )
        n += 1
    if f"{block}.downsample.0.weight" in named:
        x = functional.conv3d(x, named[f"{block}.downsample.0.weight"])
        x = _norm(x, named, f"{block}.downsample.1")
    return functional.relu(h + x)


def _norm(x: Tensor, named: dict[str, Tensor], name: str) -> Tensor:
    """Apply batch normalisation with its stored statistics."""
    mean, variance = named[f"{name}.running_mean"], named[f"{name}.running_var"]
    weight, bias = named[f"{name}.weight"], named[f"{name}.bias"]
    return functional.batch_norm(x, mean, variance, weight, bias, eps=BATCH_NORM_EPS)
