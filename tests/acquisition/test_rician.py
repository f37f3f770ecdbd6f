import numpy as np
import pytest

from inversesr.acquisition.rician import GAUSSIAN_SNR, shrinkage


@pytest.mark.parametrize("snr", [0.5, 1.0, 2.0, 4.0])
def test_the_share_that_magnitudes_show_is_that_of_drawn_ones(snr):
    rng = np.random.default_rng(0)
    drawn = np.hypot(snr + rng.standard_normal(200_000), rng.standard_normal(200_000))
    shown = np.array([drawn.mean() / drawn.std()], np.float32)
    assert drawn.std() == pytest.approx(float(shrinkage(shown)[0]), rel=0.02)


def test_high_signal_shows_all_of_the_noise():
    assert shrinkage(np.array([GAUSSIAN_SNR + 0.1, np.inf], np.float32)).tolist() == [1.0, 1.0]
