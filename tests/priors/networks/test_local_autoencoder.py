import pytest
import torch

from inversesr.priors.networks import local_autoencoder
from inversesr.priors.networks.local_autoencoder import (
    LocalAutoencoder,
    decode_whole,
    encode_whole,
)
from inversesr.training.initialisation import draw_weights


def random_weights(net, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw_weights(net, generator)
    for weight in net.parameters():
        weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    return net.eval().requires_grad_(False)


def random_image(*shape, seed=1):
    return torch.rand((1, 1, *shape), generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def net():
    return random_weights(LocalAutoencoder(8, (4, 6), (1, 1), (1, 2)))


def test_an_untrained_autoencoder_halves_the_resolution():
    x = random_image(8, 12, 16)
    net = LocalAutoencoder(8, (4, 6), (1, 1), (1, 1)).requires_grad_(False)
    mean, sigma = net.encode(x)
    assert mean.shape == sigma.shape == (1, 8, 2, 3, 4)
    blocks = torch.nn.functional.avg_pool3d(x, 2)
    assert torch.allclose(
        net.decode(mean), torch.nn.functional.interpolate(blocks, scale_factor=2.0), atol=1e-5
    )


def test_more_channels_than_the_shortcut_carries_are_allowed_and_fewer_are_not():
    net = LocalAutoencoder(10, (4, 6), (1, 1), (1, 1)).requires_grad_(False)
    mean, _ = net.encode(random_image(8, 8, 8))
    assert mean.shape == (1, 10, 2, 2, 2)
    assert net.decode(mean).shape == (1, 1, 8, 8, 8)
    with pytest.raises(ValueError, match="at least 8"):
        LocalAutoencoder(4)


def test_a_voxel_does_not_know_what_lies_beyond_the_reach(net):
    reach = net.reach()
    length = 4 * (2 * reach + 4)
    x = random_image(length, 4, 4)
    other = x.clone()
    other[:, :, : 4 * (reach + 1)] = 0.0
    first, second = net.encode(x)[0], net.encode(other)[0]
    assert torch.allclose(first[:, :, 2 * reach + 1 :], second[:, :, 2 * reach + 1 :], atol=1e-6)
    moved = first.clone()
    moved[:, :, 0] += 1.0
    seen = (net.decode(moved) - net.decode(first)).abs().amax(dim=(0, 1, 3, 4)) > 1e-6
    assert int(seen.nonzero().max()) < 4 * (reach + 1)


@pytest.mark.parametrize("largest_pass", [1, 4 * 8 * 8 * 3])
def test_parts_give_what_the_whole_gives(net, monkeypatch, largest_pass):
    x = random_image(96, 8, 8)
    z = encode_whole(net, x)
    decoded = decode_whole(net, z)
    assert torch.allclose(z, net.encode(x)[0])
    monkeypatch.setattr(local_autoencoder, "LARGEST_PASS", largest_pass)
    assert torch.allclose(encode_whole(net, x), z, atol=1e-5)
    assert torch.allclose(decode_whole(net, z), decoded, atol=1e-5)


def test_autocast_keeps_the_shortcut_exact():
    net = LocalAutoencoder(8, (4, 6), (1, 1), (1, 1)).requires_grad_(False)
    x = random_image(8, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        mean, _ = net.encode(x)
        decoded = net.decode(mean)
    assert decoded.dtype == torch.float32
    assert torch.equal(mean, net.encode(x)[0])
    assert torch.equal(decoded, net.decode(mean))


def test_the_noise_of_a_latent_is_bounded_from_below(net):
    for weight in net.encoder.head.parameters():
        weight.data.fill_(-100.0)
    sigma = net.encode(random_image(8, 8, 8))[1]
    assert float(sigma.min()) == pytest.approx(0.0183, rel=1e-2)
