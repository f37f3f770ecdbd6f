import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors.instrumented import instrument
from inversesr.priors.latent_diffusion import LatentDiffusionPrior
from tests.support.problems import generator, one_thread, tiny_card, tiny_prior  # noqa: F401  (a fixture)


def test_passes_are_counted_forward_and_backward():
    prior = tiny_prior()
    z = torch.zeros(prior.latent_shape, requires_grad=True)
    x = prior.decode(z)
    loss = prior.denoise(prior.encode(x), 500).sum() + prior.features(x)[0].sum()
    assert prior.counts == {"decode": 1, "encode": 1, "denoise": 1, "features": 1}
    prior.decode(z.detach())
    torch.autograd.grad(loss, z)
    assert prior.counts["decode"] == 2
    assert prior.counts["decode backward"] == 1
    assert prior.counts["encode backward"] == 1
    assert prior.counts["denoise backward"] == 1


def test_the_wrapped_prior_does_what_the_prior_does():
    prior = tiny_prior()
    z = torch.randn(prior.latent_shape, generator=generator())
    x = prior.inner.decode(z)
    assert torch.equal(prior.decode(z), x)
    assert torch.equal(prior.encode(x), prior.inner.encode(x))
    assert prior.latent_shape == prior.inner.latent_shape
    assert prior.grid is prior.inner.grid
    assert [v.name for v in prior.variables][:2] == ["sex", "age"]


def test_a_known_context_is_used_unless_another_is_given():
    inner = tiny_prior().inner
    old, young = inner.context({"age": 80}), inner.context({"age": 45})
    z = torch.randn(inner.latent_shape, generator=generator())
    prior = instrument(inner, old)
    assert torch.equal(prior.denoise(z, 500), inner.denoise(z, 500, old))
    assert torch.equal(prior.denoise(z, 500, young), inner.denoise(z, 500, young))
    assert not torch.equal(inner.denoise(z, 500, old), inner.denoise(z, 500, young))


def test_a_prior_without_a_denoiser_is_refused_when_one_is_needed():
    whole = tiny_prior().inner
    bare = LatentDiffusionPrior(tiny_card(), whole.grid, whole.autoencoder, None, None)
    with pytest.raises(InputError, match="no denoiser"):
        _ = instrument(bare).schedule
