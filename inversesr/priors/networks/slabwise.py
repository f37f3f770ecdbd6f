"""Layers of a network on a large volume, slab by slab along X, shared among threads.

    layer(x)[a:b] = layer(x[a - reach : b + reach]), cut to the rows a to b

This is exact: a convolution of three voxels reaches one voxel to each side, and where a slab ends
with the volume the layer pads it as it pads the volume.
"""

from collections.abc import Callable

import torch

from inversesr import parallel

# Voxels of a slab: large enough that the rows that two slabs share cost little, small enough that
# a thread is not waited for.
SLAB_VOXELS = 150_000
LEAST_ROWS = 8

Layer = Callable[[torch.Tensor], torch.Tensor]


def slabwise(layer: Layer, x: torch.Tensor, reach: int) -> torch.Tensor:
    """Apply a layer that keeps the shape of a volume but for its channels.

    Gradients are not recorded slab by slab: where they are wanted, on a GPU, and on the threads
    of `parallel.each`, the layer is applied to the whole volume at once.

    Args:
        layer: The layer.
        x: Features, shape (B, C, X, Y, Z).
        reach: Rows to each side on which a row of the result depends.

    Returns:
        layer(x), shape (B, C', X, Y, Z).
    """
    is_whole = torch.is_grad_enabled() or x.device.type != "cpu" or parallel.is_within()
    n, across = x.shape[2], x.shape[3] * x.shape[4]
    n_rows = max(LEAST_ROWS, SLAB_VOXELS // across)
    if is_whole or n <= n_rows:
        return layer(x)
    starts = range(0, n, n_rows)
    dtype, is_mixed = torch.get_autocast_dtype("cpu"), torch.is_autocast_enabled("cpu")

    def of_slab(start: int) -> torch.Tensor:
        stop = min(start + n_rows, n)
        first, last = max(start - reach, 0), min(stop + reach, n)
        with torch.no_grad(), torch.autocast("cpu", dtype, enabled=is_mixed):
            found = layer(x[:, :, first:last])
        return found[:, :, start - first : stop - first]

    return torch.cat(parallel.each(of_slab, starts), dim=2)
