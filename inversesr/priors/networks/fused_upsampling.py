"""Nearest upsampling by 2 followed by a 3 x 3 x 3 convolution, done on the small grid.

Of three neighbouring fine voxels two are copies of one coarse voxel, so each of the 8 positions
within a coarse voxel is a 2 x 2 x 2 convolution of the coarse image:

    even:  w0 x[i-1] + (w1 + w2) x[i]          odd:  (w0 + w1) x[i] + w2 x[i+1]

along each axis: 8 multiplications in place of 27, and the upsampled image is never stored.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

# rows: taps on the coarse grid, columns: taps of the fine kernel; for even and odd positions
_TAPS = ([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
Phase = tuple[int, int, int]


def fusible(block: nn.Module) -> nn.Conv3d | None:
    """Return the convolution of an upsampling block of this kind, or None for any other block."""
    return _plain_convolution(block, "nearest")


def interpolates(block: nn.Module) -> bool:
    """Whether a block is trilinear upsampling by 2 followed by a 3 x 3 x 3 convolution."""
    return _plain_convolution(block, "trilinear") is not None


def _plain_convolution(block: nn.Module, mode: str) -> nn.Conv3d | None:
    """Return the convolution of a block that upsamples by 2 in one mode, or None."""
    children = list(block.children())
    if len(children) != 2 or not isinstance(children[0], nn.Upsample):
        return None
    factor, is_mode = children[0].scale_factor, children[0].mode == mode
    doubles = all(f == 2 for f in (factor if isinstance(factor, tuple) else (factor,)))
    layer: Any = getattr(children[1], "conv", None)
    if not is_mode or not doubles or not isinstance(layer, nn.Conv3d):
        return None
    plain = (layer.kernel_size, layer.stride, layer.padding) == ((3,) * 3, (1,) * 3, (1,) * 3)
    plain = plain and layer.padding_mode == "zeros" and layer.dilation == (1,) * 3
    return layer if plain and layer.groups == 1 else None


def polyphase_kernels(layer: nn.Conv3d) -> Iterator[tuple[Phase, Tensor]]:
    """Yield each position within a coarse voxel with its kernel, shape (out, in, 2, 2, 2)."""
    exact = torch.promote_types(layer.weight.dtype, torch.float32)
    weight = layer.weight.detach().to(exact)
    taps = [torch.tensor(rows, dtype=exact, device=weight.device) for rows in _TAPS]
    for i, j, k in product((0, 1), repeat=3):
        a, b, c = taps[i], taps[j], taps[k]
        kernel = torch.einsum("ai,bj,ck,oeijk->oeabc", a, b, c, weight).to(layer.weight.dtype)
        yield (i, j, k), kernel.contiguous(memory_format=torch.channels_last_3d)


def upsample_convolve(padded: Tensor, layer: nn.Conv3d) -> Tensor:
    """Upsample by 2 and convolve.

    Args:
        padded: Coarse image with one more voxel on every side, shape (1, in, X+2, Y+2, Z+2).
        layer: The convolution that follows the upsampling.

    Returns:
        Fine image, shape (1, out, 2X, 2Y, 2Z), channels-last.
    """
    coarse = [n - 2 for n in padded.shape[2:]]
    fine = torch.empty(
        (padded.shape[0], layer.out_channels, *(2 * n for n in coarse)),
        dtype=padded.dtype,
        device=padded.device,
        memory_format=torch.channels_last_3d,
    )
    x, y, z = coarse
    for (i, j, k), kernel in polyphase_kernels(layer):
        # a cut along the first axis is free; along the others it would cost more than the margin
        values = functional.conv3d(padded[:, :, i : i + x + 1], kernel, layer.bias)
        fine[:, :, i::2, j::2, k::2] = values[..., j : j + y, k : k + z]
    return fine


class FusedUpsampling(torch.autograd.Function):
    """The same with a gradient, which needs nothing but the kernel."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Conv3d) -> Tensor:  # noqa: ANN401  (torch's own)
        """Upsample x, shape (1, in, X, Y, Z), and convolve."""
        ctx.layer, ctx.shape = layer, x.shape
        return upsample_convolve(functional.pad(x, (1,) * 6), layer)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """Sum the transposed convolutions of the 8 positions."""
        (dy,) = gradients
        n, c, x, y, z = ctx.shape
        padded = torch.empty(
            (n, c, x + 2, y + 2, z + 2),
            dtype=dy.dtype,
            device=dy.device,
            memory_format=torch.channels_last_3d,
        ).zero_()
        size = torch.Size((n, c, x + 1, y + 1, z + 1))
        for (i, j, k), kernel in polyphase_kernels(ctx.layer):
            part = dy[:, :, i::2, j::2, k::2].contiguous(memory_format=torch.channels_last_3d)
            target = padded[:, :, i : i + x + 1, j : j + y + 1, k : k + z + 1]
            target += input_gradient(part, size, kernel, stride=(1, 1, 1), padding=(0, 0, 0))
        inner = padded[:, :, 1:-1, 1:-1, 1:-1]
        return inner.contiguous(memory_format=torch.channels_last_3d), None


def input_gradient(
    dy: Tensor,
    shape: torch.Size,
    kernel: Tensor,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
) -> Tensor:
    """Return the gradient of a 3D convolution with respect to its input.

    Args:
        dy: Gradient of the output.
        shape: Shape of the input.
        kernel: Kernel that was used.
        stride: Stride along each axis.
        padding: Zero padding along each axis.

    Returns:
        Gradient of the given shape.
    """
    if all(step == 1 for step in stride):
        return _mirrored_convolution(dy, kernel, padding)
    # only the shape of the input is read: a tensor of one element stands for it
    stand_in = dy.new_empty(1).expand(shape)
    transposed = False
    ones, zeros = (1,) * len(stride), (0,) * len(stride)
    dx: Tensor = torch.ops.aten.convolution_backward(
        dy,
        stand_in,
        kernel,
        None,
        stride,
        padding,
        ones,
        transposed,
        zeros,
        1,
        (True, False, False),
    )[0]
    return dx


def _mirrored_convolution(dy: Tensor, kernel: Tensor, padding: tuple[int, ...]) -> Tensor:
    """Return the same for a stride of 1: a convolution, which has the faster kernels."""
    mirrored = kernel.detach().flip(2, 3, 4).transpose(0, 1)
    around = [n - 1 - p for n, p in zip(kernel.shape[2:], padding, strict=True)]
    kernel = mirrored.contiguous(memory_format=torch.channels_last_3d)
    return functional.conv3d(dy, kernel, padding=around)
