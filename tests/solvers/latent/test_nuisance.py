from dataclasses import replace

import numpy as np
import pytest
import torch

from inversesr.solvers.latent.nuisance import _smooth_waves, fit_nuisance, fit_slice_width
from tests.support.laws import normal
from tests.support.problems import problem_of

SHAPE = (8, 10, 12)


def decoded():
    return 0.5 + 0.2 * normal(SHAPE, 0).float()


def test_gain_and_offset_are_found():
    x = decoded()
    problem = problem_of(1.2 * x - 0.1, 0.001)
    found = fit_nuisance(problem, x)
    assert found.gain == pytest.approx(1.2, abs=0.01)
    assert found.offset == pytest.approx(-0.1, abs=0.01)
    assert found.facts == {"gain": found.gain, "offset": found.offset}


def test_only_the_part_of_the_prior_is_scaled():
    x = decoded()
    mask = torch.zeros(SHAPE)
    mask[2:6] = 1.0
    first = replace(problem_of(x, 0.0), m=mask)
    image = mask * (1.3 * x) + (1.0 - mask) * first.s
    problem = replace(first, y=first.A(image))
    # the spline of the new scan is not the old one: keep the old one
    problem.__dict__["s"] = first.s
    assert fit_nuisance(problem, x).gain == pytest.approx(1.3, abs=0.01)


def test_without_information_nothing_is_changed():
    x = decoded()
    problem = replace(problem_of(x, 0.0), m=torch.zeros(SHAPE))
    found = fit_nuisance(problem, x)
    assert found.gain == pytest.approx(1.0)
    assert found.offset == pytest.approx(0.0)


@pytest.mark.parametrize("sigma", [0.05, 0.5, 5.0])
def test_gain_and_offset_are_drawn_towards_one_and_zero_by_their_known_spread(sigma):
    # least squares with two more equations: gain = 1 +- 0.2, offset = 0 +- 0.1
    x = decoded()
    problem = problem_of(1.6 * x + 0.4, sigma)
    seen = problem.A(x).flatten().double()
    equations = np.vstack([np.stack([seen, np.ones(len(seen))], 1) / sigma, np.diag([5.0, 10.0])])
    right = np.concatenate([problem.y.flatten().double() / sigma, [5.0, 0.0]])
    gain, offset = np.linalg.lstsq(equations, right)[0]
    found = fit_nuisance(problem, x)
    assert found.gain == pytest.approx(gain, abs=1e-4)
    assert found.offset == pytest.approx(offset, abs=1e-4)


def test_a_smooth_bias_field_is_found():
    x = decoded()
    wave = torch.cos(torch.pi * (torch.arange(8.0) + 0.5) / 8)[:, None, None]
    problem = problem_of((1.1 + 0.15 * wave) * x, 0.001)
    found = fit_nuisance(problem, x, bias=True)
    assert torch.allclose(found.gain, (1.1 + 0.15 * wave).expand(SHAPE), atol=0.02)
    assert len(found.facts["bias_coefficients"]) == 9


def test_bias_fields_are_orthogonal_waves_without_a_mean():
    waves = _smooth_waves(problem_of(decoded()))
    flat = torch.stack([w.flatten() for w in waves])
    gram = flat @ flat.T
    assert float((gram - torch.diag(gram.diagonal())).abs().max()) < 1e-3
    assert float(flat.sum(1).abs().max()) < 1e-3


def test_the_width_stays_where_no_other_operator_is_known():
    problem = problem_of(decoded())
    same, _, width = fit_slice_width(problem, decoded(), 1.0)
    assert same is problem
    assert width == 1.0
