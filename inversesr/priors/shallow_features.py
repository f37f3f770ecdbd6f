"""What an encoder sees of an image at its finest levels: perceptual features within the domain."""

from typing import Any

import torch
from torch import Tensor

N_LEVELS = 2


def shallow_features(autoencoder: Any, x: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401  (MONAI's AutoencoderKL)
    """Run the first levels of an encoder and keep what leaves each of them.

    Args:
        autoencoder: MONAI's AutoencoderKL, or a lean copy of it.
        x: Image as the network wants it, shape (1, 1, X, Y, Z).

    Returns:
        Features at full and half resolution, shape (channels, X', Y', Z'), float32.
    """
    from monai.networks.nets.autoencoderkl import AEKLDownsample

    found: list[Tensor] = []
    for block in autoencoder.encoder.blocks:
        if isinstance(block, AEKLDownsample):
            found.append(x[0].to(torch.float32))
            if len(found) == N_LEVELS:
                break
        x = block(x)
    return tuple(found)
