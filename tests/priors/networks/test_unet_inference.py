import pytest
import torch

from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.priors.networks.tiling import Tiling
from inversesr.priors.networks.unet import SuperResolutionShape, SuperResolutionUNet
from inversesr.priors.networks.unet_inference import refine, refine_with_flips, white_level
from inversesr.training.initialisation import draw_weights

SMALL = SuperResolutionShape(widths=(4, 6, 8), n_blocks=(1, 1, 1), n_embedding=8)
SLICES = SliceGeometry(thickness=4.0, spacing=5.0, first_centre=1.5)


@pytest.fixture
def net():
    """A network that is no longer the identity."""
    generator = torch.Generator().manual_seed(0)
    net = SuperResolutionUNet(SMALL)
    draw_weights(net, generator)
    for weight in net.parameters():
        weight.data += 0.05 * torch.randn(weight.shape, generator=generator)
    return net


def random_volume(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shape", [(8, 8, 8), (9, 13, 17), (1, 1, 5)])
def test_refine_keeps_any_shape(net, shape):
    x = random_volume(*shape)
    assert refine(net, x, SLICES).shape == shape


def test_padding_does_not_matter_to_a_volume_that_already_repeats_its_last_voxels(net):
    x = random_volume(13, 16, 16)
    longer = torch.cat([x, x[-1:].expand(3, -1, -1)])
    white = white_level(x)
    # equal brightness, so that both are scaled alike
    longer[-1], x_scaled = longer[-1], x / white
    refined = refine(net, x, SLICES)
    expected = net(torch.cat([x_scaled, x_scaled[-1:].expand(3, -1, -1)])[None, None],
                   SLICES.as_tensor()[None])[0, 0, :13] * white  # fmt: skip
    assert torch.allclose(refined, expected, atol=1e-5)


def test_refine_follows_the_brightness_of_the_scan(net):
    x = random_volume(8, 8, 16)
    assert torch.allclose(
        refine(net, 500.0 * x, SLICES), 500.0 * refine(net, x, SLICES), rtol=1e-4, atol=0.05
    )


def test_an_empty_volume_stays_finite(net):
    assert refine(net, torch.zeros(8, 8, 8), SLICES).isfinite().all()


def test_tiles_of_an_identity_network_blend_into_the_input():
    x = random_volume(37, 21, 8)
    tiled = refine(SuperResolutionUNet(SMALL), x, SLICES, tiling=Tiling(size=16, overlap=8))
    assert torch.allclose(tiled, x, atol=1e-6)


def test_tiles_with_room_to_see_agree_with_the_whole(net):
    x = random_volume(8, 160, 8)
    whole = refine(net, x, SLICES)
    tiled = refine(net, x, SLICES, tiling=Tiling(size=96, overlap=64))
    # the middle of a tile sees no edge of it: 96 - 64 voxels in, and the same from the end
    assert torch.allclose(tiled[:, :32], whole[:, :32], atol=1e-5)


def test_bfloat16_agrees_with_float32(net):
    x = random_volume(16, 16, 16)
    exact, rounded = refine(net, x, SLICES), refine(net, x, SLICES, torch.bfloat16)
    assert rounded.dtype == torch.float32
    change = (exact - x).square().mean().sqrt()
    assert (rounded - exact).square().mean().sqrt() < 0.02 * change


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_average_over_all_mirrors_does_not_know_left_from_right(net, axis):
    x = random_volume(8, 16, 16)
    slices = SLICES.flipped(16) if axis == 2 else SLICES
    direct = refine_with_flips(net, x, SLICES, torch.float32, 8)
    flipped = refine_with_flips(net, x.flip(axis).contiguous(), slices, torch.float32, 8)
    assert torch.allclose(flipped.flip(axis), direct, atol=1e-5)
    assert not torch.allclose(direct, refine(net, x, SLICES), atol=1e-3)


def test_one_mirror_is_the_volume_itself(net):
    x = random_volume(8, 8, 16)
    assert torch.equal(refine_with_flips(net, x, SLICES, torch.float32, 1), refine(net, x, SLICES))
