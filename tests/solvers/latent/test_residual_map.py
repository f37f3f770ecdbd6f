from dataclasses import replace

import numpy as np
import pytest
import torch

from inversesr.operators.separable import SeparableOperator
from inversesr.protocols import Solution
from inversesr.solvers.latent.pnp import LatentPnP, latent_pnp
from inversesr.solvers.latent.residual_map import keep_surprises, protect, surprise_map
from tests.support.problems import generator, problem_of, quiet, tiny_case

SHAPE, SPACING = (30, 30, 32), (1.0, 1.0, 1.0)
SIGMA, RMSE = 0.03, 0.02


def head():
    """Smooth tissue, and the same with a lesion that no model of the tissue knows."""
    x = 0.5 + 0.1 * torch.sin(0.3 * torch.arange(32.0)).expand(SHAPE).clone()
    hurt = x.clone()
    hurt[8:16, 8:16, 12:20] += 0.5
    return x, hurt


def surprise_of(x, truth):
    return surprise_map(problem_of(truth, SIGMA, factor=4), x, RMSE, SPACING)


def test_where_only_noise_is_missed_the_surprise_is_that_of_the_noise():
    x, _ = head()
    expected = SIGMA / (SIGMA**2 + RMSE**2) ** 0.5
    found = surprise_of(x, x)
    assert float(found.mean()) == pytest.approx(expected, rel=0.05)
    assert float(found.max()) < 2.0


def test_a_lesion_surprises_where_it_is_and_nowhere_else():
    x, hurt = head()
    found = surprise_of(x, hurt)
    assert float(found[10:14, 10:14, 14:18].min()) > 6.0
    assert float(found[24:, 24:].max()) < 2.0


def test_the_prior_is_silenced_in_the_lesion_only():
    x, hurt = head()
    problem = problem_of(hurt, SIGMA, factor=4)
    m = protect(problem, surprise_of(x, hurt), None).m
    assert float(m[10:14, 10:14, 14:18].max()) == 0.0
    assert float(m[24:, 24:].min()) == 1.0


def missed_by(misfit):
    """A head whose slices the prior's best fit misses by so many deviations, all alike."""
    x, _ = head()
    exact = problem_of(x, SIGMA, factor=4)
    # of noise and autoencoder together
    away = misfit * (SIGMA**2 + RMSE**2) ** 0.5
    return x, replace(exact, y=exact.A(x) + away)


@pytest.mark.parametrize(
    ("misfit", "weight"), [(0.5, 1.0), (3.0, 1.0), (4.5, 0.5), (6.0, 0.0), (20.0, 0.0)]
)
def test_the_prior_keeps_its_weight_to_three_deviations_and_has_none_from_six(misfit, weight):
    x, problem = missed_by(misfit)
    found = surprise_map(problem, x, RMSE, SPACING)
    torch.testing.assert_close(found, torch.full_like(found, misfit), rtol=1e-3, atol=1e-3)
    m = protect(problem, found, None).m
    torch.testing.assert_close(m, torch.full_like(m, weight), rtol=0.0, atol=2e-3)


@pytest.mark.parametrize(("misfit", "share"), [(5.8, 0.0), (6.2, 1.0)])
def test_the_record_says_what_share_of_the_head_the_prior_does_not_explain(misfit, share):
    x, problem = missed_by(misfit)
    found = keep_surprises(problem, Solution(x, "", 1), RMSE, None, SPACING)
    assert found.facts["surprising_share"] == share


def test_a_mask_protects_by_as_much_as_it_says():
    x, _ = head()
    problem = replace(problem_of(x, SIGMA), m=torch.full(SHAPE, 0.8))
    mask = torch.zeros(SHAPE)
    mask[:10], mask[10:20] = 1.0, 0.5
    m = protect(problem, None, mask).m
    assert [float(m[i, 0, 0]) for i in (0, 15, 25)] == pytest.approx([0.0, 0.4, 0.8])
    assert torch.equal(protect(problem, None, None).m, problem.m)


def test_a_protected_region_holds_the_interpolated_scan():
    prior, problem = tiny_case()
    mask = torch.zeros(problem.m.shape)
    mask[4:12, 8:24] = 1.0
    options = LatentPnP(n_levels=1)
    x = latent_pnp(protect(problem, None, mask), prior, options, generator(), quiet).x
    assert torch.allclose(x[mask > 0.0], problem.s[mask > 0.0], atol=1e-6)
    assert not torch.allclose(x[mask == 0.0], problem.s[mask == 0.0], atol=1e-3)


def test_gaps_between_slices_borrow_the_surprise_of_their_neighbours():
    # thin slices, one voxel in four
    matrix = np.eye(32)[1::4]
    x, hurt = head()
    problem = problem_of(hurt, SIGMA, A=SeparableOperator(SHAPE, (None, None, matrix)))
    found = surprise_map(problem, x, RMSE, SPACING)
    assert bool(torch.isfinite(found).all())
    assert float(found[12, 12, 13:19].min()) > 5.0


def test_what_is_kept_from_the_prior_is_given_along_and_is_no_surer_than_before():
    x, hurt = head()
    problem = problem_of(hurt, SIGMA, factor=4)
    samples = torch.stack([x - 0.1, x + 0.1])
    found = keep_surprises(
        problem, Solution(x, "2 samples", 1, samples=samples), RMSE, None, SPACING
    )
    lesion = (slice(10, 14), slice(10, 14), slice(14, 18))
    assert torch.equal(found.unprotected, x)
    assert float(found.surprise[lesion].min()) > 6.0
    torch.testing.assert_close(found.x[lesion], problem.start[lesion])
    torch.testing.assert_close(found.samples.mean(0), found.x)
    torch.testing.assert_close(found.samples.std(0), samples.std(0))
