import pytest
import torch

from inversesr.priors.gaussian import make_gaussian_prior
from inversesr.priors.schedule import CLEAN, add_noise
from inversesr.solvers.latent.chain import (
    differentiable_chain,
    draw,
    mean_latent,
    noise_levels,
    sample_clean,
    sample_latent,
    short_path,
    step_variance,
)
from inversesr.solvers.latent.pnp import LatentPnP
from tests.support.problems import (
    EITHER,
    FLOW_SLOWLY,
    gaussian_case,
    gaussian_counted,
    generator,
    tiny_prior,
)


def test_noise_levels_fall_in_equal_ratios():
    levels = noise_levels(LatentPnP(n_levels=4, sigma_high=8.0, sigma_low=1.0), is_warm=False)
    assert levels == pytest.approx([8.0, 4.0, 2.0, 1.0])
    assert noise_levels(LatentPnP(n_levels=1), is_warm=False) == [8.0]
    warm = noise_levels(LatentPnP(), is_warm=True)
    assert len(warm) < len(noise_levels(LatentPnP(), is_warm=False))
    assert warm[0] < 8.0


@EITHER
@pytest.mark.parametrize("t", [999, 300, 5, 0])
@pytest.mark.parametrize("n_steps", [1, 4])
def test_a_short_path_falls_from_its_start_to_clean(t, n_steps, noise):
    schedule = make_gaussian_prior((4, 4, 4), (2, 2, 2), schedule=noise).schedule
    path = short_path(schedule, t, n_steps)
    assert path[0] == t
    assert path[-1] == CLEAN
    assert path == sorted(set(path), reverse=True)
    assert len(path) <= n_steps + 1
    if t > 100:
        assert len(path) == n_steps + 1


def test_an_image_may_move_the_further_the_noisier_it_is():
    options = LatentPnP(kappa=2.0, image_sd=0.1)
    assert step_variance(options, 0.03, 1e-6) == pytest.approx(0.03**2)
    assert step_variance(options, 0.0, 1.0) == pytest.approx(0.2**2 / 2)
    assert step_variance(options, 0.0, 1e6) == pytest.approx(0.2**2)


def test_noise_comes_from_the_generator_alone():
    like = torch.zeros(1)
    assert torch.equal(draw((5,), like, generator(1)), draw((5,), like, generator(1)))
    assert not torch.equal(draw((5,), like, generator(1)), draw((5,), like, generator(2)))


@FLOW_SLOWLY
def test_samples_have_the_spread_of_the_prior_and_their_mean_a_smaller_one(noise):
    prior, problem, _ = gaussian_case(noise=noise)
    g = generator()
    samples = torch.stack([sample_latent(prior, problem.y, g) for _ in range(200)])
    ratio = samples.var(0) / prior.inner.variance
    # deterministic steps end a little short of the prior's spread
    assert 0.7 < float(ratio.mean()) < 1.1
    means = torch.stack([mean_latent(prior, problem.y, 4, g) for _ in range(50)])
    assert float((means.var(0) / samples.var(0)).mean()) == pytest.approx(0.25, abs=0.1)


@EITHER
@pytest.mark.parametrize("t", [150, 400])
def test_clean_latents_drawn_from_a_noisy_one_have_the_conditional_law(t, noise):
    gaussian = make_gaussian_prior((8, 8, 8), (4, 4, 4), decay=0.0, schedule=noise)
    prior = gaussian_counted(gaussian)
    signal, spread = gaussian.schedule.level(t)
    z_t = add_noise(gaussian.schedule, gaussian.sample(generator()), t, torch.ones(1, 4, 4, 4))
    g = generator(3)
    path = short_path(gaussian.schedule, t, 3)
    drawn = torch.stack([sample_clean(prior, z_t, path, g) for _ in range(300)])
    variance = gaussian.variance * spread**2 / (signal**2 * gaussian.variance + spread**2)
    # all variances are equal, so three steps suffice
    assert float((drawn.var(0) / variance).mean()) == pytest.approx(1.0, abs=0.05)
    off = (drawn.mean(0) - gaussian.denoise(z_t, t)) / (variance / 300).sqrt()
    assert float(off.square().mean()) == pytest.approx(1.0, abs=0.5)


def test_recomputing_a_chain_gives_the_same_gradient_as_keeping_it():
    gradients = []
    for keep in (True, False):
        prior = tiny_prior()
        z = draw(prior.latent_shape, torch.zeros(1), generator()).requires_grad_()
        context = torch.full((4,), 0.5, requires_grad=True)
        end = differentiable_chain(prior, z, [600, 300, CLEAN], context, keep=keep)
        gradients.append(torch.autograd.grad(end.square().sum(), (z, context)))
        assert prior.counts == {"denoise": 2 if keep else 4, "denoise backward": 2}
    for kept, recomputed in zip(*gradients, strict=True):
        assert torch.allclose(kept, recomputed, rtol=1e-4, atol=1e-6)
