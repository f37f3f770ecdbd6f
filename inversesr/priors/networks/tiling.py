"""Networks on large volumes, tile by tile, blended where tiles meet.

The slice axis, the last one, is never cut.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch.nn import functional

# the Haar transform and two halvings
MULTIPLE = 8


@dataclass(frozen=True)
class Tiling:
    """How a large volume is cut across its slices; the slice axis is never cut.

    Attributes:
        size: Longest side of a tile in voxels.
        overlap: Voxels that neighbouring tiles share and over which they are blended.
    """

    size: int = 288
    overlap: int = 32


def in_tiles(
    run: Callable[..., torch.Tensor],
    images: Sequence[torch.Tensor],
    dtype: torch.dtype,
    tiling: Tiling | None = None,
) -> torch.Tensor:
    """Run a network on a volume tile by tile, blending where tiles meet.

    Args:
        run: Takes tiles of the images, each of shape (1, 1, X, Y, Z), lengths multiples of 8.
        images: Volumes of one shape (X, Y, Z).
        dtype: Arithmetic inside the network.
        tiling: How to cut.
    """
    tiling, x = tiling or Tiling(), images[0]
    total, weight = torch.zeros_like(x), torch.zeros_like(x)
    starts = (tile_starts(n, tiling) for n in x.shape[:2])
    with torch.no_grad(), torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
        for start in product(*starts):
            tile = tuple(slice(s, s + tiling.size) for s in start)
            found = run(*(pad(image[tile]) for image in images))[0, 0]
            window = tile_window(x[tile].shape, tiling.overlap).to(x)
            total[tile] += window * crop(found, x[tile].shape)
            weight[tile] += window
    return total / weight


def tile_starts(n_voxels: int, tiling: Tiling) -> Iterator[int]:
    """Yield where tiles begin along one axis; the last one ends with the volume."""
    step = tiling.size - tiling.overlap
    for start in range(0, max(1, n_voxels - tiling.overlap), step):
        yield max(0, min(start, n_voxels - tiling.size))


def tile_window(shape: torch.Size, overlap: int) -> torch.Tensor:
    """Return blending weights that fall linearly towards the in-plane faces of a tile."""
    ramps = []
    for n in shape[:2]:
        distance = torch.minimum(torch.arange(1, n + 1), torch.arange(n, 0, -1))
        ramps.append((distance / max(1, overlap)).clamp(max=1.0))
    return (ramps[0][:, None] * ramps[1][None, :])[:, :, None]


def pad(x: torch.Tensor) -> torch.Tensor:
    """Repeat the last voxels until every length is a multiple of 8, shape (1, 1, ...)."""
    padding = [amount for n in reversed(x.shape) for amount in (0, -n % MULTIPLE)]
    return functional.pad(x[None, None], padding, mode="replicate")


def crop(x: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Take away what `pad` added."""
    return x[: shape[0], : shape[1], : shape[2]]
