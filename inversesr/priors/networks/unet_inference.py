"""A trained super-resolution network on one volume, with flip test-time augmentation."""

import torch

from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.priors.networks.tiling import Tiling, in_tiles
from inversesr.priors.networks.unet import SuperResolutionUNet

WHITE_QUANTILE = 0.999
# Axes to reverse; the slice axis, which the network sees otherwise than the rest, comes first.
FLIPS: tuple[tuple[int, ...], ...] = (
    (), (2,), (0,), (0, 2), (1,), (1, 2), (0, 1), (0, 1, 2),
)  # fmt: skip


def refine(
    net: SuperResolutionUNet,
    x: torch.Tensor,
    slices: SliceGeometry,
    dtype: torch.dtype = torch.float32,
    tiling: Tiling | None = None,
    sigma: float = 0.0,
) -> torch.Tensor:
    """Thin the slices of one volume.

    Args:
        net: Trained network.
        x: Spline-interpolated (and consistent) volume, shape (X, Y, Z), slices along Z, any
            length, any intensity scale with the background near zero.
        slices: Where the slices lie along Z.
        dtype: Arithmetic inside the network; float32, or bfloat16 where the hardware has it.
        tiling: How to cut a large volume; the default keeps the memory below 3 GiB for 200
            slices.
        sigma: Standard deviation of the scan's noise, in the intensities of x.

    Returns:
        Volume of shape (X, Y, Z), float32, in the intensities of x. It need not reproduce the
        scan exactly: data consistency comes after it.
    """
    white = white_level(x)
    geometry = slices.as_tensor()[None].to(x.device)
    noise = (sigma / white).reshape(1)
    return white * in_tiles(lambda tile: net(tile / white, geometry, noise), [x], dtype, tiling)


def refine_with_flips(
    net: SuperResolutionUNet,
    x: torch.Tensor,
    slices: SliceGeometry,
    dtype: torch.dtype,
    n_flips: int,
    sigma: float = 0.0,
) -> torch.Tensor:
    """Thin the slices of a volume and of flipped copies of it, and average.

    Args:
        net: Trained network.
        x: Volume as `refine` takes it, shape (X, Y, Z).
        slices: Where the slices lie along Z.
        dtype: Arithmetic inside the network.
        n_flips: Number of copies, 1 to 8; the first is the volume itself.
        sigma: Standard deviation of the scan's noise, in the intensities of x.

    Returns:
        Volume of shape (X, Y, Z), float32.
    """
    total = torch.zeros_like(x)
    for axes in FLIPS[:n_flips]:
        seen = slices.flipped(x.shape[-1]) if x.ndim - 1 in axes else slices
        total += refine(net, x.flip(axes).contiguous(), seen, dtype, sigma=sigma).flip(axes)
    return total / len(FLIPS[:n_flips])


def white_level(x: torch.Tensor) -> torch.Tensor:
    """Return the intensity that counts as one: the 99.9th percentile, or 1 for an empty volume."""
    rank = max(1, round(WHITE_QUANTILE * x.numel()))
    white = x.flatten().kthvalue(rank).values
    return torch.where(white > 0, white, torch.ones_like(white))
