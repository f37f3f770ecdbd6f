"""The network that finds the brain in a head of any contrast, in thick slices or thin.

    p = N(image on a grid of 3 mm),      the brain is where p > 1/2 on the grid of the scan

N is a small U-Net of MONAI, trained on label maps painted in random contrasts
(`training.brain_mask`). The package has no weights of it yet and finds brains by deepbet
(`acquisition.brain_mask`); those that are trained lie in a folder that is given.
"""

import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional

from inversesr.errors import MachineError
from inversesr.operators.separable import SeparableOperator
from inversesr.volume import Image, voxel_centres

FOLDER = Path(__file__).parent / "brain_weights"
CARD_NAME, WEIGHTS_NAME = "card.json", "weights.safetensors"
VOXEL_MM = 3.0
# The network halves its grid three times.
MULTIPLE = 8
# Channels at 6, 12 and 24 mm, and of the innermost block.
CHANNELS = (24, 40, 64, 80)
N_FEATURES = 8
LOW_PERCENTILE, HIGH_PERCENTILE = 1.0, 99.5
# what a percentile is taken of, at most
N_RANKED = 200_000


def build_network(channels: tuple[int, ...] = CHANNELS) -> nn.Module:
    """Build the network with random weights.

    Args:
        channels: Channels at 6, 12 and 24 mm, and of the innermost block.
    """
    from monai.networks.nets import UNet

    strides = (2,) * (len(channels) - 1)
    norm = ("instance", {"affine": True})
    features = UNet(3, 1, N_FEATURES, channels, strides, num_res_units=2, norm=norm)
    # the U-Net normalises what it returns, and a brain may fill any share of a scan
    return nn.Sequential(features, nn.Conv3d(N_FEATURES, 1, 1))


def read_card(folder: Path = FOLDER) -> dict[str, Any]:
    """Return what the network says of itself: licence, training data, limits, channels, hash."""
    card: dict[str, Any] = json.loads((folder / CARD_NAME).read_text(encoding="utf-8"))
    return card


@cache
def load_network(folder: Path = FOLDER) -> nn.Module:
    """Load the network of the package, for inference.

    Args:
        folder: Where card.json and weights.safetensors lie.

    Raises:
        MachineError: one of them is missing or damaged.
    """
    try:
        card = read_card(folder)
        content = (folder / WEIGHTS_NAME).read_bytes()
        if sha256(content).hexdigest() != card["sha256"]:
            message = f"{WEIGHTS_NAME} is not the one of {CARD_NAME}"
            raise ValueError(message)
        network = build_network(tuple(card["channels"]))
        network.load_state_dict({name: t.float() for name, t in load(content).items()})
    except (OSError, ValueError, KeyError) as error:
        message = (
            f"the network that finds the brain cannot be read from {folder} ({error}); "
            "expected the files of the package: pip install --force-reinstall inversesr"
        )
        raise MachineError(message) from error
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # no stub
    return network.eval().requires_grad_(requires_grad=False)


def brain_probability(
    data: Image, spacing_mm: tuple[float, ...], network: nn.Module | None = None
) -> NDArray[np.float32]:
    """Return the probability that voxels are brain.

    Args:
        data: Scan whose axes run right, anterior, superior, shape (X, Y, Z).
        spacing_mm: Its voxel sizes along them.
        network: Another network than that of the package.

    Returns:
        Probabilities of the same shape.
    """
    coarse = tuple(
        max(1, round(n * s / VOXEL_MM)) for n, s in zip(data.shape, spacing_mm, strict=True)
    )
    inward = resampling(data.shape, spacing_mm, coarse, (VOXEL_MM,) * 3)
    outward = resampling(coarse, (VOXEL_MM,) * 3, data.shape, spacing_mm)
    image = normalised(inward(torch.from_numpy(np.ascontiguousarray(data, dtype=np.float32))))
    logits = apply_network(load_network() if network is None else network, image)
    probability: NDArray[np.float32] = outward(logits).sigmoid().numpy()
    return probability


def apply_network(network: nn.Module, image: Tensor) -> Tensor:
    """Apply the network to an image of any shape.

    Args:
        network: The network.
        image: Normalised intensities on a grid of 3 mm, shape (X, Y, Z).

    Returns:
        Logits of the same shape.
    """
    margins = [(-n % MULTIPLE) for n in image.shape]
    before = [margin // 2 for margin in margins]
    pairs = [side for m, b in zip(margins[::-1], before[::-1], strict=True) for side in (b, m - b)]
    padded = functional.pad(image, pairs)[None, None]
    with torch.no_grad():
        logits: Tensor = network(padded.contiguous(memory_format=torch.channels_last_3d))[0, 0]
    inside = [slice(b, b + n) for b, n in zip(before, image.shape, strict=True)]
    cropped: Tensor = logits[inside[0], inside[1], inside[2]].float()
    return cropped


def normalised(image: Tensor) -> Tensor:
    """Scale intensities so that 0 is air and 1 is bright, whatever the scanner's unit."""
    some = image.flatten()[:: max(1, image.numel() // N_RANKED)]
    quantiles = torch.tensor([LOW_PERCENTILE, HIGH_PERCENTILE], dtype=some.dtype) / 100.0
    low, high = torch.quantile(some, quantiles).tolist()
    scaled: Tensor = ((image - low) / max(high - low, 1e-12)).clamp(0.0, 1.0)
    return scaled


def resampling(
    shape: tuple[int, ...],
    spacing_mm: tuple[float, ...],
    new_shape: tuple[int, ...],
    new_spacing_mm: tuple[float, ...],
) -> SeparableOperator:
    """Return linear interpolation between two grids with one centre; it averages what is finer."""
    sides = zip(shape, spacing_mm, new_shape, new_spacing_mm, strict=True)
    matrices = [_hats(*side) for side in sides]
    x, y, z = shape
    return SeparableOperator((x, y, z), (matrices[0], matrices[1], matrices[2]))


def _hats(n: int, spacing: float, n_new: int, new_spacing: float) -> NDArray[np.float64]:
    """Return the weights of one axis, shape (n_new, n); they add up to 1."""
    old, new = voxel_centres(n, spacing), voxel_centres(n_new, new_spacing)
    away = np.abs(np.clip(new, old[0], old[-1])[:, None] - old)
    weights = np.maximum(0.0, 1.0 - away / max(spacing, new_spacing))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
