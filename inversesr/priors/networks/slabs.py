"""Encoding and decoding of large images in bounded memory, without approximation.

The image is a list of slabs along its first axis. Every convolution sees one plane of each
neighbour, and GroupNorm uses the statistics of the whole image, so the result is that of the
whole image to rounding. A slab is replaced by its result as soon as the next one has taken the
plane that it needs.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from inversesr.priors.networks.fused_upsampling import (
    fusible,
    interpolates,
    upsample_convolve,
)
from inversesr.priors.networks.slab_normalisation import Fill, Slabs, activation, normaliser

Parts = tuple[Tensor | None, Tensor, Tensor | None]
# About 80 MB of 128 bfloat16 channels: large enough for full speed, small beside the image.
# Slabs below 32 MB would come from the heap of the C library, which fragments and is not returned.
DEFAULT_SLAB_VOXELS = 300_000


@dataclass(frozen=True, eq=False)
class _Pass:
    """What all steps through one network share."""

    dtype: torch.dtype
    slab_voxels: int


def decode_in_slabs(autoencoder: Any, z: Tensor, slab_voxels: int = DEFAULT_SLAB_VOXELS) -> Tensor:  # noqa: ANN401  (MONAI's AutoencoderKL)
    """Decode a latent as `autoencoder.decode` does, without a gradient.

    Args:
        autoencoder: MONAI's AutoencoderKL. Its first and last convolutions may be float32 while
            those between them are bfloat16.
        z: Latent, shape (1, C, X, Y, Z), float32.
        slab_voxels: About how many voxels of the image are in work at a time.

    Returns:
        Image, shape (1, 1, fX, fY, fZ).
    """
    with torch.inference_mode():
        z = autoencoder.post_quant_conv(z.to(_dtype_of(autoencoder.post_quant_conv)))
        blocks = autoencoder.decoder.blocks
        x = _run(blocks, z, slab_voxels)
    return x.clone()


def encode_in_slabs(autoencoder: Any, x: Tensor, slab_voxels: int = DEFAULT_SLAB_VOXELS) -> Tensor:  # noqa: ANN401
    """Encode an image to the mean of its latent, as `autoencoder.encode` does, without a gradient.

    Args:
        autoencoder: See `decode_in_slabs`.
        x: Image, shape (1, 1, X, Y, Z), every side a multiple of the latent factor.
        slab_voxels: See `decode_in_slabs`.

    Returns:
        Latent, shape (1, C, X/f, Y/f, Z/f).
    """
    with torch.inference_mode():
        h = _run(autoencoder.encoder.blocks, x, slab_voxels)
        z: Tensor = autoencoder.quant_conv_mu(h.to(_dtype_of(autoencoder.quant_conv_mu)))
    return z.clone()


def _run(blocks: nn.ModuleList, x: Tensor, slab_voxels: int) -> Tensor:
    """Apply the blocks of an encoder or decoder one after the other."""
    work = _Pass(_inner_dtype(blocks), slab_voxels)
    slabs = _split(x, work)
    # the first convolution leads into the type of the inner ones; the last keeps its own
    slabs = _convolve(slabs, _layer(blocks[0]), dtype=work.dtype)
    for block in list(blocks)[1:-1]:
        slabs = _step(block, slabs, work)
    slabs = _convolve(slabs, _layer(blocks[-1]))
    return torch.cat(slabs, dim=2).float()


def _step(block: Any, slabs: Slabs, work: _Pass) -> Slabs:  # noqa: ANN401  (MONAI blocks)
    """Apply one block to all slabs."""
    from monai.networks.nets.autoencoderkl import AEKLDownsample, AEKLResBlock

    if isinstance(block, AEKLResBlock):
        return _residual(block, slabs)
    if isinstance(block, AEKLDownsample):
        return _downsample(slabs, block.conv.conv, work)
    if fusible(block) is not None:
        return _upsample(slabs, block, work)
    if interpolates(block):
        return _interpolate(slabs, block, work)
    if isinstance(block, nn.GroupNorm):
        normalise = normaliser(slabs, block)
        for slab in slabs:
            normalise(slab, slab)
        return slabs
    return _split(block(torch.cat(slabs, dim=2)), work)


def _residual(block: Any, slabs: Slabs) -> Slabs:  # noqa: ANN401
    """Apply a residual block; the slabs are replaced one by one."""
    h = _convolve(list(slabs), block.conv1.conv, activation(slabs, block.norm1))
    h = _convolve(h, block.conv2.conv, activation(h, block.norm2))
    for i, slab in enumerate(slabs):
        # without a change of width the shortcut is the slab itself
        slabs[i] = _channels_last(block.nin_shortcut(slab)).add_(h[i])
        h[i] = h[i][:0]
    return slabs


def _channels_last(x: Tensor) -> Tensor:
    """Return x in the layout of windows: torch convolves some small sizes in the other one."""
    return x.contiguous(memory_format=torch.channels_last_3d)


def _layer(block: Any) -> nn.Conv3d:  # noqa: ANN401
    """Return the convolution in MONAI's wrapper."""
    layer: nn.Conv3d = block.conv
    return layer


def _convolve(
    slabs: Slabs,
    layer: nn.Conv3d,
    fill: Fill | None = None,
    dtype: torch.dtype | None = None,
) -> Slabs:
    """Replace each slab by the 3 x 3 x 3 convolution of the image, transformed by `fill`."""
    before, window = None, None
    for i, slab in enumerate(slabs):
        after = slabs[i + 1][:, :, :1] if i + 1 < len(slabs) else None
        last = slab[:, :, -1:].clone()
        window = _window((before, slab, after), fill, used=window)
        seen = window.to(layer.weight.dtype)
        y = functional.conv3d(seen, layer.weight, layer.bias, padding=(0, 1, 1))
        slabs[i] = _channels_last(y if dtype is None else y.to(dtype))
        before = last
    return slabs


def _downsample(slabs: Slabs, layer: nn.Conv3d, work: _Pass) -> Slabs:
    """Apply a convolution of stride 2 that is padded at the far end only."""
    for i, slab in enumerate(slabs):
        after = slabs[i + 1][:, :, :1] if i + 1 < len(slabs) else None
        window = _window((None, slab, after), margin=(0, 1))[:, :, 1:]
        slabs[i] = functional.conv3d(window, layer.weight, layer.bias, stride=2)
    return _split(torch.cat(slabs, dim=2), work)


def _upsample(slabs: Slabs, block: nn.Module, work: _Pass) -> Slabs:
    """Double the resolution and convolve."""
    layer = fusible(block)
    if layer is None:
        message = "this block does not upsample"
        raise TypeError(message)
    # each slab becomes 8 times larger
    slabs = _split(torch.cat(slabs, dim=2), _Pass(work.dtype, work.slab_voxels // 8))
    before = None
    for i, slab in enumerate(slabs):
        after = slabs[i + 1][:, :, :1] if i + 1 < len(slabs) else None
        last = slab[:, :, -1:].clone()
        slabs[i] = upsample_convolve(_window((before, slab, after), margin=(1, 1)), layer)
        before = last
    return slabs


def _interpolate(slabs: Slabs, block: nn.Module, work: _Pass) -> Slabs:
    """Double the resolution by trilinear interpolation and convolve."""
    refine, convolution = block.children()
    layer = _layer(convolution)
    slabs = _split(torch.cat(slabs, dim=2), _Pass(work.dtype, work.slab_voxels // 8))
    before = None
    for i, slab in enumerate(slabs):
        after = slabs[i + 1][:, :, :1] if i + 1 < len(slabs) else None
        last = slab[:, :, -1:].clone()
        known = [part for part in (before, slab, after) if part is not None]
        fine = refine(torch.cat(known, dim=2))
        # of a neighbour's two fine planes the nearer one counts; beyond the image there is zero
        fine = fine[:, :, int(before is not None) : fine.shape[2] - int(after is not None)]
        fine = functional.pad(fine, (0, 0, 0, 0, int(before is None), int(after is None)))
        slabs[i] = _channels_last(
            functional.conv3d(fine, layer.weight, layer.bias, padding=(0, 1, 1))
        )
        before = last
    return slabs


def _window(
    parts: Parts,
    fill: Fill | None = None,
    margin: tuple[int, int] = (0, 0),
    used: Tensor | None = None,
) -> Tensor:
    """Join a slab with one plane of each neighbour, zero outside the image.

    Args:
        parts: Plane before (or None), slab, plane after (or None).
        fill: Writes a transformed part to its place; None copies it.
        margin: Zero voxels before and after along the two other axes.
        used: A window that is needed no longer; its memory is taken where the size is right,
            because fresh memory costs as much time as the normalisation.

    Returns:
        The slab with its surroundings, channels-last.
    """
    _, slab, _ = parts
    n, c, depth, height, width = slab.shape
    low, high = margin
    shape = (n, c, depth + 2, height + low + high, width + low + high)
    if used is not None and used.shape == shape:
        window = used
    else:
        window = torch.empty(
            shape,
            dtype=slab.dtype,
            device=slab.device,
            memory_format=torch.channels_last_3d,
        )
    if low or high:
        window.zero_()
    inner = window[..., low : low + height, low : low + width]
    for part, place in zip(parts, (slice(0, 1), slice(1, -1), slice(-1, None)), strict=True):
        if part is None:
            inner[:, :, place] = 0.0
        elif fill is None:
            inner[:, :, place] = part
        else:
            fill(part, inner[:, :, place])
    return window


def _split(x: Tensor, work: _Pass) -> Slabs:
    """Cut an image into slabs of an even number of planes, each with memory of its own."""
    area = x.shape[3] * x.shape[4]
    planes = max(2, work.slab_voxels // area // 2 * 2)
    parts = torch.split(x, planes, dim=2)
    return [p.clone(memory_format=torch.channels_last_3d) for p in parts]


def _inner_dtype(blocks: nn.ModuleList) -> torch.dtype:
    """Return the type of the convolutions between the first and the last."""
    layers = [m for m in blocks[1:-1].modules() if isinstance(m, nn.Conv3d)]
    return layers[0].weight.dtype if layers else _dtype_of(blocks)


def _dtype_of(module: nn.Module) -> torch.dtype:
    """Return the type of a module's first weight."""
    return next(module.parameters()).dtype
