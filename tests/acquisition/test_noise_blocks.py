import numpy as np
import pytest

from inversesr.acquisition.noise_blocks import (
    COARSE_ORDER,
    ORDER,
    QUANTILE,
    blocks_of,
    difference,
    low_share,
)

SHAPE = (90, 80, 12)


@pytest.mark.parametrize("order", [COARSE_ORDER, ORDER])
def test_a_difference_keeps_the_variance_of_noise_and_removes_polynomials(order):
    kernel = difference(order)
    assert np.sum(kernel**2) == pytest.approx(1.0, rel=1e-6)
    x = np.arange(30.0)
    assert np.abs(np.convolve(x ** (order - 1), kernel, "valid")).max() < 1e-6 * 30.0**order


@pytest.mark.parametrize("n_slices", [1, 3])
@pytest.mark.parametrize("order", [COARSE_ORDER, ORDER])
def test_the_low_quantile_of_white_noise_is_the_share_that_is_stated(order, n_slices):
    shape = (*SHAPE[:2], 1 if n_slices == 1 else SHAPE[2])
    drawn = [
        blocks_of(
            np.random.default_rng(seed).standard_normal(shape).astype(np.float32),
            np.ones(shape, bool),
            order,
        ).rms[5:-5, 5:-5]
        for seed in range(8 if n_slices == 1 else 2)
    ]
    found = np.quantile(np.concatenate(drawn), QUANTILE)
    assert found == pytest.approx(low_share(order, n_slices), rel=0.025)


def test_blocks_tell_level_and_tissue():
    y = np.full(SHAPE, 7.0, np.float32)
    tissue = np.zeros(SHAPE, bool)
    tissue[:45] = True
    found = blocks_of(y, tissue)
    assert found.level == pytest.approx(7.0)
    assert found.rms.max() < 1e-5
    assert found.inside[:19].min() == pytest.approx(1.0)
    assert found.inside[26:].max() == pytest.approx(0.0, abs=1e-5)
