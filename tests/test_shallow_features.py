import torch
from problems import generator, one_thread, tiny_prior  # noqa: F401  (a fixture)


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
