"""Figures of a series against formulas of their own."""

import numpy as np
import pytest

from inversesr.evaluation.temporal import sensitivity, t_map, tsnr


def test_tsnr_is_mean_over_deviation_about_a_line():
    rng = np.random.default_rng(0)
    n = 400
    y = 100.0 + np.linspace(0, 50, n)[:, None] + 4.0 * rng.standard_normal((n, 50))
    assert tsnr(y.astype(np.float32)).mean() == pytest.approx(125.0 / 4.0, rel=0.02)
    assert tsnr(np.ones((5, 2), np.float32)).tolist() == [0.0, 0.0]


def test_t_is_that_of_an_independent_regression():
    from scipy.stats import t as student

    rng = np.random.default_rng(1)
    h = rng.standard_normal(30)
    y = (0.5 * h + rng.standard_normal(30)).astype(np.float32)
    design = np.stack([h, np.ones(30), np.arange(30.0)], axis=1)
    beta, residual, *_ = np.linalg.lstsq(design, y.astype(float), rcond=None)
    variance = residual[0] / 27 * np.linalg.inv(design.T @ design)[0, 0]
    expected = beta[0] / np.sqrt(variance)
    assert t_map(y[:, None], h)[0] == pytest.approx(expected, rel=1e-4)
    null = t_map(rng.standard_normal((30, 20000)).astype(np.float32), h)
    assert np.mean(null > student.ppf(0.99, 27)) == pytest.approx(0.01, abs=0.003)


def test_sensitivity_is_read_at_the_threshold_of_the_silent_voxels():
    t = np.concatenate([np.arange(100.0), [98.5, 99.5, 10.0, 200.0]])
    is_active = np.arange(104) >= 100
    assert sensitivity(t, is_active, ~is_active, 0.01) == pytest.approx(0.75)
