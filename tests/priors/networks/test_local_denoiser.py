import pytest
import torch

from inversesr.priors.networks.local_denoiser import LocalDenoiser, timestep_waves
from inversesr.training.initialisation import draw_weights


def make_net():
    net = LocalDenoiser(8, (4, 6, 8), (1, 1, 1), 8)
    generator = torch.Generator().manual_seed(0)
    draw_weights(net, generator)
    for weight in net.parameters():
        weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    return net


def latents(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def test_an_untrained_denoiser_predicts_nothing():
    net = LocalDenoiser(8, (4, 6), (1, 1), 8)
    assert not net(latents(2, 8, 4, 4, 4), torch.tensor([3, 500])).any()


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 6, 7), (8, 4, 12)])
def test_latents_of_any_size_keep_it(shape):
    assert make_net()(latents(1, 8, *shape), torch.tensor([3])).shape == (1, 8, *shape)


def test_the_prediction_depends_on_the_timestep():
    net, x = make_net(), latents(1, 8, 4, 4, 4)
    assert not torch.allclose(net(x, torch.tensor([3])), net(x, torch.tensor([300])), atol=1e-3)


def test_each_latent_of_a_batch_has_a_timestep_of_its_own():
    net, x, t = make_net(), latents(2, 8, 4, 4, 4), torch.tensor([3, 700])
    alone = torch.cat([net(x[i : i + 1], t[i : i + 1]) for i in range(2)])
    assert torch.allclose(net(x, t), alone, atol=1e-5)


def test_a_context_is_refused():
    with pytest.raises(ValueError, match="no cross-attention"):
        make_net()(latents(1, 8, 4, 4, 4), torch.tensor([3]), torch.zeros(1, 1, 4))


def test_recomputing_features_does_not_change_the_gradient():
    found = []
    for recomputes in (False, True):
        net = make_net()
        net.recomputes = recomputes
        net(latents(1, 8, 4, 4, 4), torch.tensor([40])).square().mean().backward()
        found.append([p.grad for p in net.parameters()])
    for plain, again in zip(*found, strict=True):
        assert torch.equal(plain, again)


def test_nearby_timesteps_are_told_apart_and_the_wave_is_bounded():
    waves = timestep_waves(torch.arange(1000), 128)
    assert waves.shape == (1000, 128)
    assert float(waves.abs().max()) <= 1.0
    assert float(waves.diff(dim=0).norm(dim=1).min()) > 0.3


def test_what_is_known_of_a_subject_comes_after_the_latent_and_matters():
    net = LocalDenoiser(8, (4, 6), (1, 1), 8, n_conditions=2)
    draw_weights(net, torch.Generator().manual_seed(0))
    net.head.weight.data.normal_(generator=torch.Generator().manual_seed(1))
    z, t = latents(1, 8, 4, 4, 4), torch.tensor([3])
    maps = [torch.full((1, 2, 4, 4, 4), value) for value in (0.0, 1.0)]
    found = [net(torch.cat([z, m], dim=1), t) for m in maps]
    assert found[0].shape == z.shape
    assert not torch.allclose(*found, atol=1e-3)
