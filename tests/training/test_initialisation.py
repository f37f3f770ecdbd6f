import pytest
import torch
from torch import nn

from inversesr.priors.networks.local_autoencoder import LocalAutoencoder
from inversesr.training.initialisation import draw_weights, initialise
from tests.support.laws import normal


def autoencoder():
    return LocalAutoencoder(8, (4, 6), (1, 1), (1, 1))


def weights_of(net):
    return [weight.detach() for weight in net.parameters()]


def are_equal(first, second):
    return all(
        torch.equal(a, b) for a, b in zip(weights_of(first), weights_of(second), strict=True)
    )


def test_the_same_seed_draws_the_same_weights_whatever_they_were():
    first, second = (initialise(autoencoder(), 3) for _ in range(2))
    assert are_equal(first, second)
    assert not are_equal(first, initialise(autoencoder(), 4))


def test_nobody_elses_random_numbers_are_used_up():
    net = autoencoder()
    before = torch.get_rng_state()
    initialise(net, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_that_are_zero_stay_so_and_a_new_block_adds_nothing():
    """An untrained autoencoder is its shortcut, whatever else was drawn."""
    first, second = (initialise(autoencoder(), seed) for seed in (0, 1))
    x = normal((1, 1, 8, 8, 8), 0, torch.float32)
    assert not are_equal(first, second)
    for one, other in zip(first.encode(x), second.encode(x), strict=True):
        assert torch.equal(one, other)
    z = first.encode(x)[0]
    assert torch.equal(first.decode(z), second.decode(z))


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (nn.Linear(400, 300), 400),
        (nn.Conv3d(16, 24, 3), 16 * 27),
        (nn.Conv3d(40, 50, 2, stride=2, bias=False), 40 * 8),
    ],
    ids=["linear", "convolution", "without bias"],
)
def test_the_sum_of_many_inputs_has_a_third_of_their_variance(layer, fan_in):
    draw_weights(layer, torch.Generator().manual_seed(0))
    assert float(layer.weight.detach().var()) * fan_in == pytest.approx(1.0 / 3.0, rel=0.05)
    assert float(layer.weight.detach().mean()) * fan_in**0.5 == pytest.approx(0.0, abs=0.02)
    assert layer.bias is None or not layer.bias.any()


def test_layers_without_a_kernel_keep_their_weights():
    norm = nn.LayerNorm(5)
    nn.init.constant_(norm.weight, 0.7)
    nn.init.constant_(norm.bias, 0.2)
    draw_weights(nn.Sequential(norm), torch.Generator())
    assert norm.weight.tolist() == pytest.approx([0.7] * 5)
    assert norm.bias.tolist() == pytest.approx([0.2] * 5)


def test_the_very_network_is_returned_with_kernels_laid_out_channels_last():
    net = autoencoder()
    assert initialise(net, 0) is net
    kernels = [weight for weight in net.parameters() if weight.ndim == 5]
    assert kernels
    assert all(k.is_contiguous(memory_format=torch.channels_last_3d) for k in kernels)
