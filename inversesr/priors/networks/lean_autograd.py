"""Gradients through frozen networks that keep only what they need.

Stock autograd keeps, for every norm + SiLU + convolution, the input of each of the three. With
frozen weights the gradient with respect to the input needs less:

    convolution         W                 dx = W' dy
    GroupNorm + SiLU    x, mean, 1/std    the rest is recomputed in the backward pass

Outputs and gradients are those of the stock network to rounding.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from inversesr.priors.networks.fused_upsampling import FusedUpsampling, fusible, input_gradient

# makes the kernel of batch normalisation use the statistics that it is given
_TRAINING = True
# voxels in work at a time within the backward pass of a normalisation
_SLAB_VOXELS = 300_000


def lean_copy(network: nn.Module) -> nn.Module:
    """Return a network that shares all weights with the given one and differentiates leanly.

    Residual blocks, convolutions and upsampling of MONAI's AutoencoderKL and DiffusionModelUNet
    are replaced on the instances of the copy; anything else stays as it is.

    Args:
        network: A network with frozen weights.

    Returns:
        The copy; the given network is not changed.
    """
    shared: dict[int, Any] = {id(t): t for t in (*network.parameters(), *network.buffers())}
    lean = copy.deepcopy(network, shared)
    for module in lean.modules():
        forward = _forward_of(module)
        if forward is not None:
            vars(module)["forward"] = partial(forward, module)
    return lean


def _forward_of(module: nn.Module) -> Callable[..., Tensor] | None:
    """Choose the lean forward pass of a module, if it has one."""
    from monai.networks.nets.autoencoderkl import AEKLResBlock
    from monai.networks.nets.diffusion_model_unet import DiffusionUNetResnetBlock

    if isinstance(module, AEKLResBlock):
        return _autoencoder_block
    if isinstance(module, DiffusionUNetResnetBlock) and module.spatial_dims == 3:
        return _denoiser_block
    if isinstance(module, nn.Conv3d) and _is_plain(module):
        return _convolve
    return _upsample if fusible(module) is not None else None


def _is_plain(layer: nn.Conv3d) -> bool:
    """Whether a convolution is one that `input_gradient` covers."""
    simple = layer.groups == 1 and layer.dilation == (1, 1, 1) and layer.padding_mode == "zeros"
    if not simple or isinstance(layer.padding, str):
        return False
    return all(p < k for p, k in zip(layer.padding, layer.kernel_size, strict=True))


def _autoencoder_block(block: Any, x: Tensor) -> Tensor:  # noqa: ANN401  (a MONAI block)
    """Apply an AEKLResBlock."""
    x = x.to(block.conv1.conv.weight.dtype)
    # first, so that its gradient is made last and does not wait in memory for the other
    shortcut: Tensor = block.nin_shortcut(x)
    h = block.conv1(norm_silu(x, block.norm1))
    h = block.conv2(norm_silu(h, block.norm2))
    y: Tensor = shortcut + h
    return y


def _denoiser_block(block: Any, x: Tensor, emb: Tensor) -> Tensor:  # noqa: ANN401
    """Apply a DiffusionUNetResnetBlock."""
    h = norm_silu(x, block.norm1)
    resample = block.upsample if block.upsample is not None else block.downsample
    if resample is not None:
        x, h = resample(x), resample(h)
    time = block.time_emb_proj(functional.silu(emb))[:, :, None, None, None]
    h = block.conv1(h) + time
    h = block.conv2(norm_silu(h, block.norm2))
    shortcut: Tensor = block.skip_connection(x)
    y: Tensor = shortcut + h
    return y


def _convolve(layer: nn.Conv3d, x: Tensor) -> Tensor:
    """Apply a convolution, keeping only its kernel for the gradient."""
    x = x.to(layer.weight.dtype)
    if not x.requires_grad:
        plain: Tensor = layer._conv_forward(x, layer.weight, layer.bias)
        return plain
    y: Tensor = _FrozenConvolution.apply(x, layer)  # type: ignore[no-untyped-call]
    return y


def _upsample(block: nn.Module, x: Tensor) -> Tensor:
    """Apply an upsampling block on the coarse grid."""
    layer = fusible(block)
    if layer is None:
        message = "this block does not upsample"
        raise TypeError(message)
    x = x.to(layer.weight.dtype)
    y: Tensor = FusedUpsampling.apply(x, layer)  # type: ignore[no-untyped-call]
    return y


def norm_silu(x: Tensor, norm: nn.GroupNorm) -> Tensor:
    """Apply GroupNorm, then SiLU, keeping x and two numbers a group for the gradient."""
    y: Tensor = _FrozenNormSilu.apply(x, norm)  # type: ignore[no-untyped-call]
    return y


def _group_norm(x: Tensor, norm: nn.GroupNorm) -> tuple[Tensor, Tensor, Tensor]:
    """Return the normalised tensor, the means and the inverse standard deviations.

    x is dense in one of the two layouts, see `_dense`.
    """
    n, c = x.shape[:2]
    size = x[0, 0].numel()
    y, mean, rstd = torch.native_group_norm(
        x, norm.weight, norm.bias, n, c, size, norm.num_groups, norm.eps
    )
    return y, mean, rstd


def _dense(x: Tensor, like: Tensor | None = None) -> Tensor:
    """Return x in a layout that native kernels take: channels-last if it nearly is, else plain."""
    reference = x if like is None else like
    if reference.ndim != 5 or reference.stride(1) != 1 or reference.shape[1] == 1:
        return x.contiguous()
    dense = x.contiguous(memory_format=torch.channels_last_3d)
    # one image may carry any batch stride, by which native kernels mistake its layout
    return dense.as_strided(dense.shape, (dense[0].numel(), *dense.stride()[1:]))


class _FrozenConvolution(torch.autograd.Function):
    """A convolution that keeps only its kernel."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Conv3d) -> Tensor:  # noqa: ANN401  (torch's own)
        ctx.layer, ctx.shape = layer, x.shape
        y: Tensor = layer._conv_forward(x, layer.weight, layer.bias)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        layer = ctx.layer
        (dy,) = gradients
        return input_gradient(dy, ctx.shape, layer.weight, layer.stride, layer.padding), None


class _FrozenNormSilu(torch.autograd.Function):
    """GroupNorm and SiLU that keep their common input and the statistics."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: nn.GroupNorm) -> Tensor:  # noqa: ANN401
        x = _dense(x)
        y, mean, rstd = _group_norm(x, norm)
        ctx.norm = norm
        ctx.save_for_backward(x, mean, rstd)
        return functional.silu(y, inplace=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        x, mean, rstd = ctx.saved_tensors
        (dy,) = gradients
        dy = _dense(dy, like=x)
        if len(x) == 1:
            return _one_image_gradient(dy, x, (mean, rstd), ctx.norm), None
        y, _, _ = _group_norm(x, ctx.norm)
        dy = torch.ops.aten.silu_backward(dy, y)
        n, c = x.shape[:2]
        sizes = (n, c, x[0, 0].numel(), ctx.norm.num_groups)
        dx: Tensor = torch.ops.aten.native_group_norm_backward(
            dy, x, mean, rstd, ctx.norm.weight, *sizes, (True, False, False)
        )[0]
        return dx, None


def _one_image_gradient(
    dy: Tensor, x: Tensor, statistics: tuple[Tensor, Tensor], norm: nn.GroupNorm
) -> Tensor:
    """Return the gradient of GroupNorm and SiLU with respect to their input, slab by slab.

        du = silu'(u) dy
        dx = (w du - mean(w du) - x_hat mean(w du x_hat)) / std        means over a group

    torch's own kernel is ten times slower on channels-last bfloat16, so sums over voxels and
    scalings come from the kernels of batch normalisation.

    Args:
        dy: Gradient of the output.
        x: Input, one image.
        statistics: Means and inverse standard deviations of the groups, shape (1, n_groups).
        norm: The normalisation.

    Returns:
        Gradient of the shape of x.
    """
    c, size, groups = x.shape[1], x[0, 0].numel(), norm.num_groups
    mean, rstd = (v.flatten().repeat_interleave(c // groups) for v in statistics)
    w, b = norm.weight.detach(), norm.bias.detach()
    zero, one = torch.zeros_like(w), torch.ones_like(w)
    planes = max(1, _SLAB_VOXELS * x.shape[2] // size)
    du = torch.empty_like(x)
    parts = [torch.split(v, planes, dim=2) for v in (dy, x, du)]
    sums = torch.zeros(2, c, dtype=torch.float64, device=x.device)
    for dy_part, x_part, du_part in zip(*parts, strict=True):
        u = functional.batch_norm(x_part, mean, one, w * rstd, b, eps=0.0)
        torch.ops.aten.silu_backward.grad_input(dy_part, u, grad_input=du_part)
        _, with_x_hat, alone = torch.ops.aten.native_batch_norm_backward(
            du_part, x_part, w, None, None, mean, rstd, _TRAINING, norm.eps, (False, True, True)
        )
        sums += torch.stack([alone, with_x_hat])
    by_group = (w.double() * sums).reshape(2, groups, -1).mean(2) / size
    shift, slope = by_group.to(w.dtype).repeat_interleave(c // groups, dim=1)
    for _, x_part, du_part in zip(*parts, strict=True):
        rest = functional.batch_norm(x_part, mean, one, -slope * rstd**2, -shift * rstd, eps=0.0)
        scaled = functional.batch_norm(du_part, zero, one, w * rstd, zero, eps=0.0)
        torch.add(scaled, rest, out=du_part)
    return du
