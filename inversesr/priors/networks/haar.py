"""The orthonormal 3D Haar transform: half the resolution, eight times the channels, no loss.

bands = H x,   x = H' bands,   H' H = I
"""

import torch
from torch.nn import functional

N_BANDS = 8


def haar_kernels(*, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Return the eight orthonormal kernels, shape (8, 1, 2, 2, 2), the average first."""
    pair = torch.tensor([[1.0, 1.0], [1.0, -1.0]], device=device, dtype=dtype) / 2.0**0.5
    return torch.kron(torch.kron(pair, pair), pair).reshape(N_BANDS, 1, 2, 2, 2)


def analyse(x: torch.Tensor) -> torch.Tensor:
    """Split an image into its eight bands.

    Args:
        x: Image, shape (B, 1, X, Y, Z), every length even.

    Returns:
        Bands, shape (B, 8, X/2, Y/2, Z/2).
    """
    kernels = haar_kernels(device=x.device, dtype=x.dtype)
    return functional.conv3d(x, kernels, stride=2)


def synthesise(bands: torch.Tensor) -> torch.Tensor:
    """Put an image together from its bands; the inverse and the adjoint of `analyse`.

    Args:
        bands: Bands, shape (B, 8, X/2, Y/2, Z/2).

    Returns:
        Image, shape (B, 1, X, Y, Z).
    """
    kernels = haar_kernels(device=bands.device, dtype=bands.dtype)
    return functional.conv_transpose3d(bands, kernels, stride=2)


def analyse_deep(x: torch.Tensor, depth: int) -> torch.Tensor:
    """Split an image into bands, and every band again; the average of all is the first.

    Args:
        x: Image, shape (B, 1, X, Y, Z), every length a multiple of 2**depth.
        depth: How often.

    Returns:
        Bands, shape (B, 8**depth, X / 2**depth, ...).
    """
    for _ in range(depth):
        bands = analyse(x.flatten(0, 1)[:, None])
        # bands of one kind side by side, so that the average of averages stays first
        split = bands.reshape(*x.shape[:2], *bands.shape[1:])
        x = split.transpose(1, 2).flatten(1, 2)
    return x


def synthesise_deep(bands: torch.Tensor, depth: int) -> torch.Tensor:
    """Put an image together from its bands; the inverse and the adjoint of `analyse_deep`."""
    x = bands
    for _ in range(depth):
        split = x.reshape(len(x), N_BANDS, -1, *x.shape[2:]).transpose(1, 2)
        image = synthesise(split.flatten(0, 1))
        x = image.reshape(*split.shape[:2], *image.shape[2:])
    return x
