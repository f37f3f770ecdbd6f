from dataclasses import replace

import pytest
import torch

from inversesr.solvers.latent.problem import (
    SMALLEST_SIGMA,
    IntensityScale,
    finish,
    make_decoding,
    start_latent,
)
from tests.support.laws import normal
from tests.support.problems import gaussian_case, identity, problem_of


def test_intensities_go_to_the_prior_and_back():
    scale = IntensityScale(200.0, 50.0)
    scan = torch.tensor([200.0, 225.0, 250.0])
    assert scale.to_unit(scan).tolist() == [0.0, 0.5, 1.0]
    assert torch.equal(scale.from_unit(scale.to_unit(scan)), scan)


def test_a_forward_operator_commutes_with_a_change_of_intensities():
    x = normal((6, 5, 8), 0)
    problem = problem_of(x)
    scale = IntensityScale(3.0, 7.0)
    assert torch.allclose(problem.A(scale.from_unit(x)), scale.from_unit(problem.A(x)))


def test_an_image_is_blended_of_prior_and_spline():
    problem = problem_of(normal((6, 5, 8), 0).float())
    mask = torch.linspace(0.0, 1.0, 6)[:, None, None].expand(6, 5, 8)
    problem = replace(problem, m=mask)
    decoded = torch.full((6, 5, 8), 2.0)
    x = problem.compose(decoded, 3.0, 0.5)
    assert torch.allclose(x[0], problem.s[0])
    assert torch.allclose(x[-1], torch.full((5, 8), 6.5))
    assert torch.allclose(x[2], 0.4 * 6.5 + 0.6 * problem.s[2])


def test_the_spline_is_the_start_unless_there_is_a_warmer_one():
    problem = problem_of(normal((6, 5, 8), 0).float())
    assert torch.equal(problem.start, problem.s)
    warm = torch.zeros(6, 5, 8)
    assert replace(problem, warm=warm).start is warm


def test_what_the_fine_grid_does_not_reach_is_filled():
    class Half:
        in_shape = out_shape = (6, 5, 8)

        def __call__(self, x):
            return x * (torch.arange(6) < 3)[:, None, None]

        adjoint = __call__

    problem = replace(problem_of(normal((6, 5, 8), 0).float()), V=Half())
    x, fallback = torch.full((6, 5, 8), 5.0), torch.full((6, 5, 8), 9.0)
    seen = problem.to_prior(x, fallback, 2.0, 1.0)
    assert torch.equal(seen[:3], torch.full((3, 5, 8), 2.0))
    assert torch.equal(seen[3:], fallback[3:])


def test_the_misfit_of_the_truth_is_its_noise():
    x = normal((16, 16, 16), 0).float()
    problem = problem_of(x, sigma=0.1)
    assert problem.misfit(x) == pytest.approx(1.0, abs=0.1)
    assert problem_of(x, sigma=0.0).data_sigma == SMALLEST_SIGMA


def test_delta_decoding_gives_the_start_back_for_the_latent_of_the_start():
    prior, problem, _ = gaussian_case()
    # a start that the prior cannot make
    problem = replace(problem, warm=normal((6, 5, 8), 3).float())
    z = start_latent(problem, prior)
    delta = make_decoding(problem, prior, delta=True)
    plain = make_decoding(problem, prior, delta=False)
    assert torch.allclose(delta(z), problem.warm, atol=1e-6)
    assert not torch.allclose(plain(z), problem.warm, atol=0.1)


def test_delta_decoding_adds_what_the_prior_changed_within_the_mask():
    prior, problem, z = gaussian_case()
    problem = replace(problem, m=torch.full((6, 5, 8), 0.25))
    decoding = make_decoding(problem, prior, delta=True)
    first = start_latent(problem, prior)
    change = prior.inner.decode(z) - prior.inner.decode(first)
    assert torch.allclose(decoding(z, 2.0) - problem.start, 0.25 * 2.0 * change, atol=1e-5)


def test_a_finished_image_carries_no_gradient():
    problem = problem_of(normal((6, 5, 8), 0).float())
    x = torch.ones(6, 5, 8, requires_grad=True)
    finished = finish(replace(problem, scale=IntensityScale(1.0, 2.0)), x)
    assert not finished.requires_grad
    assert torch.equal(finished, torch.full((6, 5, 8), 3.0))


def test_the_prior_grid_may_be_the_fine_grid():
    x = normal((2, 3, 4), 1)
    assert torch.equal(identity((2, 3, 4))(x), x)
