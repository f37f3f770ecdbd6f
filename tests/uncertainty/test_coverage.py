import math

import numpy as np
import pytest

from inversesr.uncertainty.coverage import (
    LEVELS,
    PredictedErrors,
    coverage,
    crps,
    ensemble_crps,
    errors_inside,
    fit_factor,
    width,
)

N_VOXELS = 40_000


def case(n_samples, overconfidence=1.0, seed=0):
    """Truth and samples of one Gaussian; the samples are too near each other by a factor."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(N_VOXELS)
    drawn = rng.standard_normal((n_samples, N_VOXELS)) / overconfidence
    return PredictedErrors(truth - overconfidence * drawn.mean(0), drawn.std(0, ddof=1), n_samples)


@pytest.mark.parametrize("n_samples", [2, 5, 30])
@pytest.mark.parametrize("level", LEVELS)
def test_intervals_of_a_gaussian_hold_what_they_promise_however_few_the_samples(n_samples, level):
    assert coverage(case(n_samples), level) == pytest.approx(level, abs=0.01)


@pytest.mark.parametrize("overconfidence", [0.5, 1.0, 2.5])
def test_the_factor_recovers_a_known_mis_scaling_and_mends_all_levels(overconfidence):
    wrong = case(8, overconfidence)
    factor = fit_factor([wrong])
    assert factor == pytest.approx(overconfidence, rel=0.03)
    other = case(8, overconfidence, seed=1)
    for level in LEVELS:
        assert coverage(other, level, factor) == pytest.approx(level, abs=0.012)


def test_a_wider_interval_holds_more():
    assert width(0.5, 8) < width(0.9, 8) < width(0.9, 3)
    assert width(-0.9, 8) == pytest.approx(-width(0.9, 8))
    found = case(8, 2.0)
    shares = [coverage(found, 0.9, factor) for factor in (0.5, 1.0, 2.0)]
    assert shares == sorted(shares)


def test_every_case_counts_the_same_however_many_voxels_it_has():
    few, many = case(8, 3.0), case(8, 1.0, seed=1)
    few = PredictedErrors(few.error[:500], few.sd[:500], 8)
    factor = fit_factor([few, many])
    mean = (coverage(few, 0.9, factor) + coverage(many, 0.9, factor)) / 2.0
    assert mean == pytest.approx(0.9, abs=0.005)
    assert 1.2 < factor < 2.9


def test_samples_that_do_not_differ_hold_nothing_but_their_own_value():
    inside = np.array([True, True, False])
    found = errors_inside(np.zeros(3), np.zeros(3), np.array([0.0, 1.0, 1.0]), inside, 4)
    assert coverage(found, 0.95) == 0.5


def gaussian_case(stated_sd, n=200_000):
    """Errors of deviation 1 of which another deviation is stated."""
    error = np.random.default_rng(0).standard_normal(n)
    return PredictedErrors(error, np.full(n, stated_sd), math.inf)


def test_the_score_is_its_definition_by_samples():
    # E|X - y| - E|X - X'| / 2 for X, X' of the stated law (Gneiting and Raftery 2007, eq. 21)
    rng = np.random.default_rng(1)
    error, sd = np.array([0.3, -2.0, 0.0]), np.array([0.5, 1.0, 2.0])
    one, other = sd * rng.standard_normal((2, 400_000, 3))
    expected = np.abs(one - error).mean() - np.abs(one - other).mean() / 2.0
    assert crps(PredictedErrors(error, sd, math.inf)) == pytest.approx(expected, abs=3e-3)


def test_the_score_is_least_where_the_stated_deviation_is_right():
    scores = {sd: crps(gaussian_case(sd)) for sd in (0.5, 0.8, 1.0, 1.25, 2.0)}
    assert min(scores, key=scores.get) == 1.0
    assert scores[1.0] == pytest.approx(1.0 / math.sqrt(math.pi), rel=0.01)


def test_without_a_deviation_the_score_is_the_mean_absolute_error():
    errors = PredictedErrors(np.array([1.0, -3.0]), np.zeros(2), 4)
    assert crps(errors) == 2.0


@pytest.mark.parametrize("factor", [0.1, 7.0])
def test_the_score_has_the_unit_of_the_image(factor):
    errors = gaussian_case(0.7, 1000)
    scaled = PredictedErrors(factor * errors.error, factor * errors.sd, math.inf)
    assert crps(scaled) == pytest.approx(factor * crps(errors), rel=1e-9)


@pytest.mark.parametrize("n_samples", [2, 4, 16])
def test_the_crps_of_samples_expects_the_same_however_few_they_are(n_samples):
    rng = np.random.default_rng(0)
    truth = rng.standard_normal(N_VOXELS)
    samples = rng.standard_normal((n_samples, N_VOXELS))
    # of a Gaussian about itself: 1 / sqrt(pi)
    assert ensemble_crps(samples, truth) == pytest.approx(np.pi**-0.5, abs=0.01)


def test_the_crps_of_samples_is_the_formula_pair_by_pair():
    rng = np.random.default_rng(1)
    truth, samples = rng.standard_normal(20), rng.standard_normal((5, 20))
    pairs = np.abs(samples[:, None] - samples[None]).sum(axis=(0, 1)) / 2.0
    expected = np.mean(np.abs(samples - truth).mean(axis=0) - pairs / 20.0)
    assert ensemble_crps(samples, truth) == pytest.approx(expected, rel=1e-12)


def test_samples_that_are_all_the_same_have_their_absolute_error():
    truth = np.array([1.0, 2.0])
    assert ensemble_crps(np.zeros((3, 2)), truth) == pytest.approx(1.5)


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_the_crps_of_samples_is_least_at_the_spread_of_the_truth(spread):
    rng = np.random.default_rng(2)
    truth, drawn = rng.standard_normal(N_VOXELS), rng.standard_normal((8, N_VOXELS))
    assert ensemble_crps(drawn, truth) < ensemble_crps(spread * drawn, truth)
