from dataclasses import replace

import pytest
import torch

from inversesr.measurements.consistency import make_consistent
from inversesr.priors.card import parse_card
from inversesr.priors.instrumented import instrument
from inversesr.priors.loading import assemble_prior
from inversesr.solvers.latent.pnp import LatentPnP, latent_pnp, weigh_in_warm_start
from inversesr.solvers.latent.problem import IntensityScale
from tests.support.problems import (
    EITHER,
    gaussian_case,
    generator,
    problem_of,
    quiet,
    random_tensors,
    tiny_case,
)
from tests.support.published import small_nv

# in the Gaussian prior an image moves by as much as its latent
GAUSSIAN = LatentPnP(delta=False, fit_gain=False, image_sd=1.0)


def relative(a, b):
    return float((a - b).norm() / b.norm())


@EITHER
def test_it_ends_at_the_most_probable_latent_of_a_gaussian_prior(noise):
    prior, problem, _ = gaussian_case(sigma=0.05, noise=noise)
    closed = prior.inner.posterior(problem.A, problem.y, 0.05).mean.reshape(prior.latent_shape)
    far = replace(problem, warm=torch.zeros_like(problem.s))
    # a start that is not to be trusted
    options = replace(GAUSSIAN, n_levels=8, sigma_high=8.0, warm_sd=1e3)
    found = latent_pnp(far, prior, options, generator(), quiet)
    assert relative(prior.encode(far.start), closed) > 1.0
    assert relative(found.z, closed) < 0.05
    assert found.history["misfit_over_noise"][-1] < 1.1


def test_the_more_a_warm_start_is_trusted_the_nearer_the_image_stays_to_it():
    prior, problem, z = gaussian_case(sigma=0.05)
    warm = prior.inner.decode(z + 0.3 * torch.rand(z.shape, generator=generator())).float()
    given = replace(problem, warm=warm)
    away = [
        relative(
            latent_pnp(given, prior, replace(GAUSSIAN, warm_sd=sd), generator(), quiet).x, warm
        )
        for sd in (1e-3, 0.1, 10.0)
    ]
    assert away == sorted(away)
    assert away[0] < 0.5 * away[2]


def test_two_images_are_weighed_by_their_variances():
    _, problem, _ = gaussian_case()
    given = replace(problem, warm=torch.full_like(problem.s, 1.0))
    mean, variance = weigh_in_warm_start(given, torch.zeros_like(problem.s), 0.04, 0.1)
    assert variance == pytest.approx(1.0 / (1.0 / 0.04 + 1.0 / 0.01))
    assert float(mean.mean()) == pytest.approx(0.8)


@pytest.mark.parametrize("factor", [4, 8])
def test_where_slices_are_thick_it_is_as_good_as_the_closed_form(factor):
    sigma = 0.05
    prior, _, z = gaussian_case(shape=(8, 8, 24), n_waves=(6, 6, 8))
    x = prior.inner.decode(z)
    problem = problem_of(x, sigma, factor=factor)
    closed = prior.inner.posterior(problem.A, problem.y, sigma).mean.reshape(prior.latent_shape)
    best = prior.inner.decode(closed).float()
    found = latent_pnp(problem, prior, GAUSSIAN, generator(), quiet).x
    assert relative(found, x) < 1.05 * relative(best, x)
    assert relative(found, x) < 0.95 * relative(problem.s, x)


def test_noise_of_both_signs_gives_the_mean_and_noise_of_one_sign_an_example():
    prior, _, z = gaussian_case(shape=(8, 8, 24), n_waves=(6, 6, 8))
    x = prior.inner.decode(z)
    problem = problem_of(x, 0.05, factor=8)
    both, one = (
        latent_pnp(problem, prior, replace(GAUSSIAN, antithetic=chosen), generator(), quiet).x
        for chosen in (True, False)
    )
    assert relative(both, x) < relative(one, x)


@pytest.mark.parametrize("delta", [True, False], ids=["delta", "plain"])
def test_after_data_consistency_it_reproduces_the_scan(delta):
    prior, problem = tiny_case(sigma=0.0)
    options = LatentPnP(n_levels=2, delta=delta)
    found = latent_pnp(problem, prior, options, generator(), quiet)
    consistent = make_consistent(problem.A, found.x, problem.y, 0.0)
    assert float((problem.A(consistent) - problem.y).abs().max()) < 1e-4
    assert problem.misfit(found.x) > 1.0


def test_a_seed_repeats_the_image_and_another_changes_it():
    prior, problem = tiny_case()
    options = LatentPnP(n_levels=2)
    one, same, other = (
        latent_pnp(problem, prior, options, generator(seed), quiet).x for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_the_result_has_the_intensities_of_the_scan():
    prior, problem, _ = gaussian_case()
    scaled = replace(problem, scale=IntensityScale(100.0, 50.0))
    unit, scan = (latent_pnp(p, prior, GAUSSIAN, generator(), quiet).x for p in (problem, scaled))
    assert torch.allclose(scan, 100.0 + 50.0 * unit)


def test_it_needs_no_gradient_and_counts_its_passes():
    prior, problem = tiny_case()
    steps = []
    options = LatentPnP(n_levels=3, n_denoiser_steps=2)
    found = latent_pnp(problem, prior, options, generator(), lambda *done: steps.append(done))
    # delta decoding: one reference, one result; two starts; two encodings a level
    assert found.facts["passes"] == {"encode": 8, "decode": 5, "denoise": 12}
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert not found.x.requires_grad


def test_where_the_prior_is_silent_the_spline_speaks():
    prior, problem = tiny_case()
    mask = problem.m.clone()
    mask[:8] = 0.0
    options = LatentPnP(n_levels=1)
    x = latent_pnp(replace(problem, m=mask), prior, options, generator(), quiet).x
    assert torch.allclose(x[:8], problem.s[:8])
    assert not torch.allclose(x[8:], problem.s[8:], atol=1e-3)


def test_a_flow_that_knows_class_and_voxel_size_restores_a_scan():
    card = parse_card(small_nv())
    prior = instrument(assemble_prior(card, random_tensors(card), shape=(32, 32, 32)))
    x = prior.decode(torch.randn(prior.latent_shape, generator=generator(5)))
    problem = problem_of(x, 0.02, factor=4)
    found = latent_pnp(problem, prior, LatentPnP(n_levels=2), generator(), quiet)
    assert torch.isfinite(found.x).all()
    misfits = found.history["misfit_over_noise"]
    assert misfits[-1] < misfits[0]
