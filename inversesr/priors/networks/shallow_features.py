"""What an encoder sees of an image at its finest levels: perceptual features within the domain."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inversesr.priors.networks.block_autoencoder import BlockAutoencoder
from inversesr.priors.networks.blocks import as_weights_of
from inversesr.priors.networks.local_autoencoder import LocalAutoencoder

N_LEVELS = 2
Extract = Callable[[Tensor], tuple[Tensor, ...]]


def features_of(autoencoder: Any) -> Extract | None:  # noqa: ANN401  (a network of either kind)
    """Return what gives the features of an autoencoder's encoder; None for an unknown network.

    The result takes an image as the network wants it, shape (1, 1, X, Y, Z), and returns features
    of shape (channels, X', Y', Z'), float32, at the two finest levels.

    Args:
        autoencoder: MONAI's AutoencoderKL, a lean copy of it, or one of the project's own.
    """
    if isinstance(autoencoder, LocalAutoencoder | BlockAutoencoder):
        return lambda x: local_features(autoencoder, x)
    if hasattr(getattr(autoencoder, "encoder", None), "blocks"):
        return lambda x: shallow_features(autoencoder, x)
    return None


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


def local_features(
    autoencoder: LocalAutoencoder | BlockAutoencoder, x: Tensor
) -> tuple[Tensor, ...]:
    """Run the encoder of one of the project's own autoencoders; keep what leaves its two levels.

    Args:
        autoencoder: The network.
        x: Image as the network wants it, shape (1, 1, X, Y, Z), every length a multiple of
            the network's factor.

    Returns:
        Features at the two resolutions of the encoder, shape (channels, X', Y', Z'), float32.
    """
    encoder = autoencoder.encoder
    bands = autoencoder.scaled_bands(x)
    # the first layer may hold weights of another type than those within
    first = encoder.stem(as_weights_of(encoder.stem, bands))
    fine = encoder.fine(as_weights_of(encoder.down, first))
    coarse = encoder.coarse(encoder.down(fine))
    return fine[0].to(torch.float32), coarse[0].to(torch.float32)
