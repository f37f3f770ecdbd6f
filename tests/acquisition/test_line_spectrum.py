import numpy as np
import pytest

from inversesr.acquisition.line_spectrum import line_spectrum


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spacing", [0.5, 2.0])
def test_the_power_of_a_wave_stands_at_its_frequency(axis, spacing):
    n = 48
    wave = np.sin(2 * np.pi * 0.25 * np.arange(n))
    y = np.moveaxis(np.broadcast_to(wave, (20, 20, n)), -1, axis).astype(np.float32)
    frequency, level = line_spectrum(y, np.ones(y.shape, bool), axis, spacing)
    assert frequency[level.argmax()] == pytest.approx(0.25 / spacing)


def test_the_power_of_white_noise_does_not_depend_on_the_frequency():
    y = np.random.default_rng(0).normal(size=(40, 40, 40)).astype(np.float32)
    _, level = line_spectrum(y, np.ones(y.shape, bool), 1, 1.0)
    # the lowest frequency lost the trend of each line
    assert np.ptp(level[1:]) < 1.0


def test_too_little_tissue_has_no_spectrum():
    y = np.ones((40, 40, 40), np.float32)
    is_tissue = np.zeros(y.shape, bool)
    is_tissue[:10, :10] = True
    assert line_spectrum(y, is_tissue, 2, 1.0) is None
    assert line_spectrum(y[..., :15], np.ones((40, 40, 15), bool), 2, 1.0) is None
