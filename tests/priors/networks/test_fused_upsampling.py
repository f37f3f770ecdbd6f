import pytest
import torch
from torch import nn
from torch.nn import functional

from inversesr.priors.networks.fused_upsampling import (
    FusedUpsampling,
    fusible,
    input_gradient,
    polyphase_kernels,
    upsample_convolve,
)
from tests.priors.networks.test_lean_autograd import one_thread, relative, value_and_gradient  # noqa: F401
from tests.support.laws import normal


class Wrapped(nn.Module):
    """A convolution one level down, as MONAI has all of them."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x):
        return self.conv(x)


def block_of(upsample=None, **convolution):
    arguments = {"kernel_size": 3, "padding": 1, **convolution}
    layer = nn.Conv3d(4, 6, **arguments, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    for weight in layer.parameters():
        weight.data = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
    layer.requires_grad_(requires_grad=False)
    return nn.Sequential(upsample or nn.Upsample(scale_factor=2), Wrapped(layer))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 1, 1), (1, 5, 1, 3)])
def test_folded_upsampling_is_upsampling_then_convolution(shape, bias):
    block = block_of(bias=bias)
    n_images, *lengths = shape
    x = normal((n_images, 4, *lengths), 1)
    expected, expected_gradient = value_and_gradient(block, x)
    found, gradient = value_and_gradient(lambda v: FusedUpsampling.apply(v, fusible(block)), x)
    assert relative(found, expected) < 1e-13
    assert relative(gradient, expected_gradient) < 1e-13


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 0.02)], ids=str
)
def test_it_keeps_the_type_of_its_image(dtype, tolerance):
    block = block_of()
    x = normal((1, 4, 3, 4, 2), 1).to(dtype)
    expected = block(x.double())
    layer = fusible(block.to(dtype))
    found = upsample_convolve(functional.pad(x, (1,) * 6), layer)
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last_3d)
    assert relative(found.double(), expected) < tolerance


def test_folding_keeps_the_sum_of_the_kernel():
    layer = fusible(block_of())
    kernels = dict(polyphase_kernels(layer))
    assert len(kernels) == 8
    for kernel in kernels.values():
        assert kernel.shape == (6, 4, 2, 2, 2)
        torch.testing.assert_close(kernel.sum((2, 3, 4)), layer.weight.sum((2, 3, 4)))


def test_a_margin_of_neighbours_makes_parts_that_fit_together():
    layer = fusible(block_of())
    padded = functional.pad(normal((1, 4, 6, 3, 3), 2), (1,) * 6)
    whole = upsample_convolve(padded, layer)
    parts = [upsample_convolve(padded[:, :, a : a + 4], layer) for a in (0, 2, 4)]
    torch.testing.assert_close(torch.cat(parts, dim=2), whole)


@pytest.mark.parametrize(
    "block",
    [
        block_of(nn.Upsample(scale_factor=4)),
        block_of(nn.Upsample(scale_factor=(2, 2, 1))),
        block_of(nn.Upsample(size=(4, 4, 4))),
        block_of(nn.Upsample(scale_factor=2, mode="trilinear")),
        block_of(kernel_size=5),
        block_of(stride=2),
        block_of(padding=0),
        block_of(dilation=2),
        block_of(groups=2),
        block_of(padding_mode="circular"),
        nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv3d(4, 6, 3, padding=1)),
        nn.Sequential(nn.Upsample(scale_factor=2)),
        nn.Conv3d(4, 6, 3, padding=1),
    ],
)
def test_any_other_block_is_left_alone(block):
    assert fusible(block) is None


@pytest.mark.parametrize("factor", [2, 2.0, (2, 2, 2)], ids=str)
def test_a_factor_of_two_may_be_written_as_one_number_or_three(factor):
    block = block_of(nn.Upsample(scale_factor=factor))
    assert fusible(block) is block[1].conv


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        ((3, 3, 3), (1, 1, 1), (1, 1, 1)),
        ((3, 3, 3), (1, 1, 1), (0, 0, 0)),
        ((1, 2, 3), (1, 1, 1), (0, 1, 2)),
        ((1, 1, 1), (1, 1, 1), (0, 0, 0)),
        ((3, 3, 3), (2, 2, 2), (1, 1, 1)),
        ((2, 2, 2), (2, 2, 2), (0, 0, 0)),
        ((3, 2, 1), (1, 2, 3), (1, 0, 0)),
    ],
    ids=str,
)
def test_the_gradient_of_a_convolution_is_that_of_autograd(kernel, stride, padding):
    weight = normal((3, 2, *kernel), 3)
    # lengths that a stride does not divide
    x = normal((2, 2, 6, 7, 8), 4).requires_grad_()
    y = functional.conv3d(x, weight, stride=stride, padding=padding)
    dy = normal(y.shape, 5)
    (expected,) = torch.autograd.grad(y, x, dy)
    found = input_gradient(dy, x.shape, weight, stride, padding)
    assert relative(found, expected) < 1e-13
