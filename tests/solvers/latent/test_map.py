from dataclasses import replace

import numpy as np
import pytest
import torch

from inversesr.operators.separable import SeparableOperator
from inversesr.operators.slice_profile import slice_matrix
from inversesr.solvers.latent.map import LatentMAP, latent_map
from tests.support.problems import (
    gaussian_case,
    generator,
    problem_of,
    quiet,
    tiny_case,
)

EXACT = LatentMAP(delta=False, fit_gain=False, stop_at_noise=False, sigma_low=0.01,
                      prior_sigma=0.01)  # fmt: skip


def test_it_approaches_the_most_probable_latent_of_a_gaussian_prior():
    prior, problem, _ = gaussian_case(sigma=0.05)
    closed = prior.inner.posterior(problem.A, problem.y, 0.05).mean.reshape(prior.latent_shape)
    options = replace(EXACT, n_steps=300, learning_rate=0.05)
    found = latent_map(problem, prior, options, generator(), quiet)
    # the smallest noise of the schedule, 0.04, smooths the prior a little
    assert float((found.z - closed).norm() / closed.norm()) < 0.01
    assert torch.allclose(found.x, prior.inner.decode(found.z), atol=1e-5)


def test_delta_decoding_finds_the_same_when_the_start_is_an_image_of_the_prior():
    prior, problem, z = gaussian_case(sigma=0.05)
    problem = replace(problem, warm=prior.inner.decode(0.5 * z))
    options = replace(EXACT, n_steps=300, learning_rate=0.05)
    plain, delta = (
        latent_map(problem, prior, replace(options, delta=chosen), generator(), quiet).x
        for chosen in (False, True)
    )
    assert torch.allclose(plain, delta, atol=2e-3)


def test_it_stops_once_the_misfit_is_that_of_the_noise():
    prior, problem, _ = gaussian_case(sigma=0.02)
    options = replace(EXACT, stop_at_noise=True, n_steps=400, image_sd=0.02)
    found = latent_map(problem, prior, options, generator(), quiet)
    misfits = found.history["misfit_over_noise"]
    assert found.status == "converged"
    assert misfits[0] > 1.0 >= misfits[-1]
    assert 10 <= found.n_steps < 400


def test_without_the_stop_it_says_how_many_steps_it_took():
    prior, problem, _ = gaussian_case()
    found = latent_map(problem, prior, replace(EXACT, n_steps=3), generator(), quiet)
    assert found.n_steps == 3
    assert len(found.history["loss"]) == 3


def thickened(thickness):
    edges = np.arange(17.0) - 8.0
    centres = np.arange(4) * 4.0 - 6.0
    return SeparableOperator(
        (6, 5, 16), (None, None, slice_matrix(edges, centres, 4.0 * thickness, "gaussian"))
    )


def test_blind_it_finds_slice_width_and_gain_of_an_image_that_is_right():
    prior, _, z = gaussian_case(shape=(6, 5, 16), n_waves=(3, 2, 9))
    x = prior.inner.decode(2.0 * z)
    true = problem_of(x, 0.001, A=thickened(1.25))
    told = replace(true, A=thickened(1.0), blurred=thickened, y=1.1 * true.y, warm=x)
    options = replace(
        EXACT, fit_gain=True, blind=True, n_steps=40, learning_rate=1e-6, n_levels=1,
        sigma_high=0.01, kappa=1e-6,
    )  # fmt: skip
    found = latent_map(told, prior, options, generator(), quiet)
    assert found.facts["slice_width_factor"] == pytest.approx(1.25, rel=0.04)
    assert found.facts["gain"] == pytest.approx(1.1, abs=0.02)
    assert len(found.facts["bias_coefficients"]) == 9
    assert found.history["misfit_over_noise"][-1] < 0.2 * found.history["misfit_over_noise"][0]


def test_lean_and_stock_gradients_give_the_same_image():
    images = []
    for backend in ("lean", "stock"):
        prior, problem = tiny_case(backend)
        options = LatentMAP(backend=backend, n_steps=3, n_levels=1, perceptual_weight=10.0)
        found = latent_map(problem, prior, options, generator(), quiet)
        images.append(found.x)
        assert found.facts["features"] == "the prior's own encoder"
        assert prior.counts["decode backward"] == 3
        assert prior.counts["features backward"] == 3
    assert torch.allclose(images[0], images[1], atol=1e-4)


def test_the_misfit_falls_on_a_latent_diffusion_prior_and_a_seed_repeats_it():
    images = []
    for _ in range(2):
        prior, problem = tiny_case()
        options = LatentMAP(n_steps=12, n_levels=1, learning_rate=0.3, delta=False)
        found = latent_map(problem, prior, options, generator(3), quiet)
        misfits = found.history["misfit_over_noise"]
        assert misfits[-1] < 0.95 * misfits[0]
        images.append(found.x)
    assert torch.equal(images[0], images[1])
