import pytest
import torch

from inversesr.priors.networks.block_autoencoder import BlockAutoencoder
from inversesr.priors.networks.lean_autograd import lean_copy
from inversesr.training.initialisation import initialise
from tests.priors.networks.test_local_autoencoder import random_image, random_weights


def small(channels=6):
    return initialise(BlockAutoencoder(channels, (4, 6), (1, 1), (1, 1)), 0)


def blocks(n=700, seed=0):
    """Blocks whose voxels hang together: smooth patterns of five kinds, and a little noise."""
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.rand((5, 8, 8, 8), generator=torch.Generator().manual_seed(9))
    weights = torch.randn((n, 5), generator=generator)
    noise = 0.01 * torch.randn((n, 8, 8, 8), generator=generator)
    return 0.4 + 0.1 * torch.einsum("nk,kxyz->nxyz", weights, kinds) + noise


def as_image(some):
    """Put 27 blocks side by side."""
    cube = some[:27].reshape(3, 3, 3, 8, 8, 8).permute(0, 3, 1, 4, 2, 5)
    return cube.reshape(1, 1, 24, 24, 24)


def test_an_untrained_autoencoder_is_the_best_linear_one_for_blocks():
    net, seen = small().requires_grad_(False), blocks()
    net.start_from(seen)
    z, sigma = net.encode(as_image(seen))
    assert z.shape == sigma.shape == (1, 6, 3, 3, 3)
    flat = seen.flatten(1)
    _, _, axes = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    kept = (flat[:27] - flat.mean(0)) @ axes[:6].T @ axes[:6]
    best = float((kept + flat.mean(0) - flat[:27]).square().mean())
    found = float((net.decode(z) - as_image(seen)).square().mean())
    # less the mean pattern, of which one number is kept
    assert found < best + float((flat.mean(0) - flat.mean()).square().mean())
    spread = net.analysis(seen[:, None]).flatten(1).std(0)
    assert torch.allclose(spread[:5], torch.ones(5), atol=0.05)


def test_a_latent_has_an_eighth_of_the_resolution_whatever_the_size():
    net = random_weights(small())
    for shape in ((8, 8, 8), (16, 8, 24)):
        z = net.encode(random_image(*shape))[0]
        assert z.shape == (1, 6, *(n // 8 for n in shape))
        assert net.decode(z).shape == (1, 1, *shape)


@pytest.mark.parametrize("channels", [0, 513])
def test_more_numbers_than_a_block_has_voxels_are_refused(channels):
    with pytest.raises(ValueError, match="expected 1 to 512"):
        BlockAutoencoder(channels)


def test_lean_gradients_are_those_of_autograd():
    net = random_weights(small())
    z = torch.randn((1, 6, 2, 2, 2), generator=torch.Generator().manual_seed(3))
    found = []
    for network in (net, lean_copy(net)):
        start = z.clone().requires_grad_()
        network.decode(start).square().mean().backward()
        found.append(start.grad)
    assert torch.allclose(*found, rtol=1e-4, atol=1e-7)


def test_autocast_keeps_the_shortcut_exact():
    net = small().requires_grad_(False)
    net.start_from(blocks())
    x = as_image(blocks(seed=1))
    with torch.autocast("cpu", torch.bfloat16):
        z = net.encode(x)[0]
        decoded = net.decode(z)
    assert decoded.dtype == torch.float32
    assert torch.equal(z, net.encode(x)[0])
    assert torch.equal(decoded, net.decode(z))
