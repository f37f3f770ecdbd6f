import torch
from torch import nn

from inversesr.priors.networks.local_autoencoder import LocalAutoencoder
from inversesr.priors.networks.shallow_features import features_of
from tests.support.problems import generator, one_thread, tiny_prior  # noqa: F401  (a fixture)


def image(prior):
    return torch.rand(prior.grid.shape, generator=generator())


def test_features_are_those_of_the_two_finest_levels():
    prior = tiny_prior()
    found = prior.features(image(prior))
    assert [tuple(f.shape) for f in found] == [(4, 16, 32, 16), (8, 8, 16, 8)]
    blocks = prior.inner.autoencoder.encoder.blocks
    with torch.no_grad():
        expected = blocks[1](blocks[0](image(prior)[None, None]))[0]
    assert torch.allclose(found[0], expected, atol=1e-5)


def test_lean_and_stock_features_have_the_same_gradient():
    gradients = []
    for kind in ("lean", "stock"):
        prior = tiny_prior(kind)
        x = image(prior).requires_grad_()
        (slope,) = torch.autograd.grad(sum(f.square().sum() for f in prior.features(x)), x)
        gradients.append(slope)
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-3, atol=1e-4)


def local():
    torch.manual_seed(0)  # noqa: TID251  (only the start of the weights)
    return LocalAutoencoder(8, (6, 10), (1, 1), (1, 1))


def test_the_free_prior_gives_features_at_a_half_and_a_quarter():
    x = torch.rand((1, 1, 16, 24, 8), generator=generator())
    found = features_of(local())(x)
    assert [tuple(f.shape) for f in found] == [(6, 8, 12, 4), (10, 4, 6, 2)]


def test_features_of_the_free_prior_lead_to_its_latent():
    network = local()
    nn.init.normal_(network.encoder.head.weight, std=0.1)
    x = torch.rand((1, 1, 16, 24, 8), generator=generator())
    coarse = features_of(network)(x)[1][None]
    change = network.encoder.head(nn.functional.silu(coarse))[:, :8]
    untrained = local()
    untrained.load_state_dict(network.state_dict())
    nn.init.zeros_(untrained.encoder.head.weight)
    expected = network.encode(x)[0] - untrained.encode(x)[0]
    bias = network.encoder.head.bias[:8, None, None, None]
    assert torch.allclose(change - bias, expected, atol=1e-4)


def test_features_of_the_free_prior_can_be_differentiated():
    x = torch.rand((1, 1, 8, 8, 8), generator=generator()).requires_grad_()
    (slope,) = torch.autograd.grad(sum(f.square().sum() for f in features_of(local())(x)), x)
    assert float(slope.abs().min()) > 0.0


def test_layers_within_may_have_coarser_weights_than_those_at_the_boundary():
    network = local()
    x = torch.rand((1, 1, 16, 16, 8), generator=generator())
    exact = features_of(network)(x)
    network.to(torch.bfloat16)
    for layer in network.boundary_layers():
        layer.float()
    for found, expected in zip(features_of(network)(x), exact, strict=True):
        assert found.dtype == torch.float32
        assert torch.allclose(found, expected, atol=0.03)


def test_an_unknown_network_has_no_features():
    assert features_of(nn.Identity()) is None
