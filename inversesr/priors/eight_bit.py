"""Weights as whole numbers of 8 bits with one scale an output channel: half the size of float16.

    q = round(w / s),      s = max |w| / 127 over each output channel,      w' = s q

The error of a weight is at most half a step, 0.4 % of the largest of its channel. Biases, norms
and other vectors stay in float16: they are few.

Reference: Jacob et al. (2018), Quantization and training of neural networks for efficient
integer-arithmetic-only inference, doi:10.1109/CVPR.2018.00286.
"""

from collections.abc import Callable, Container, Mapping

import torch
from torch import Tensor

# Added to the name of a tensor, the name of its scales.
SCALE_SUFFIX = ":scale"
LARGEST = 127.0


def to_eight_bits(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as they are stored in 8 bits.

    Args:
        tensors: Floating-point weights by name. Those with two axes or more, the first of them
            the output channels, become int8 with scales beside them; others become float16.
    """
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 2 or not tensor.is_floating_point():
            stored[name] = tensor.half() if tensor.is_floating_point() else tensor
            continue
        largest = tensor.float().flatten(1).abs().amax(dim=1)
        scale = (largest / LARGEST).clamp_min(torch.finfo(torch.float32).tiny)
        stored[name] = (tensor.float() / _along(scale, tensor)).round().to(torch.int8)
        stored[name + SCALE_SUFFIX] = scale
    return stored


def from_eight_bits(name: str, names: Container[str], read: Callable[[str], Tensor]) -> Tensor:
    """Return a weight that was stored: as float32 where it has scales, else as it is.

    Args:
        name: Its name.
        names: Names of all that is stored.
        read: Reads a stored tensor by its name.
    """
    tensor, scale = read(name), name + SCALE_SUFFIX
    return tensor.float() * _along(read(scale), tensor) if scale in names else tensor


def _along(scale: Tensor, tensor: Tensor) -> Tensor:
    """Lay one number an output channel along the first axis of a tensor."""
    return scale.reshape(-1, *[1] * (tensor.ndim - 1))
