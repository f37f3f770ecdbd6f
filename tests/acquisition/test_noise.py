import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import ndtri

from inversesr.acquisition import noise
from inversesr.acquisition.noise import SIGMA_PER_MAD, estimate_noise
from inversesr.volume import Grid, Volume

SHAPE = (48, 44, 20)


def head(level=100.0):
    """A smooth head in air."""
    i, j, k = np.indices(SHAPE)
    radius = np.sqrt(((i - 24) / 20) ** 2 + ((j - 22) / 18) ** 2 + ((k - 10) / 12) ** 2)
    sharp = np.where(radius < 1.0, level * (1.0 + 0.15 * np.cos(3.0 * radius)), 0.0)
    return gaussian_filter(sharp, 2.0)


def rician(clean, sigma, seed):
    rng = np.random.default_rng(seed)
    real = clean + rng.normal(0.0, sigma, clean.shape)
    return np.hypot(real, rng.normal(0.0, sigma, clean.shape)).astype(np.float32)


def volume(data):
    return Volume(np.asarray(data, np.float32), Grid(data.shape, np.eye(4)))


@pytest.mark.parametrize("snr", [50.0, 20.0, 10.0, 7.0, 5.0, 4.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_noise_of_a_smooth_head_is_found_to_ten_percent(snr, seed):
    sigma = 100.0 / snr
    found = estimate_noise(volume(rician(head(), sigma, seed)), 2)
    assert found == pytest.approx(sigma, rel=0.1)


@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_any_axis_may_be_the_slice_axis(slice_axis):
    # slices that differ in brightness say nothing about noise within one
    clean = np.where(np.arange(20) % 2 == 0, 0.8, 1.2) * head()
    scan = np.moveaxis(rician(clean, 5.0, 2), 2, slice_axis)
    assert estimate_noise(volume(scan), slice_axis) == pytest.approx(5.0, rel=0.1)


@pytest.mark.parametrize("snr", [0.5, 1.0, 2.0, 4.0])
def test_the_correction_for_low_signal_undoes_what_the_magnitude_does(snr):
    magnitude = rician(np.full((60, 60, 60), snr), 1.0, 5)
    shown = float(magnitude.std())
    share = noise._rician_shrinkage(float(magnitude.mean()), shown)
    assert shown / share == pytest.approx(1.0, rel=0.03)


def test_the_estimate_scales_with_the_intensities():
    scan = rician(head(), 5.0, 4)
    scaled = estimate_noise(volume(1000.0 * scan), 2)
    assert scaled == pytest.approx(1000.0 * estimate_noise(volume(scan), 2), rel=1e-4)


def test_a_noiseless_ramp_has_no_noise():
    i, j, k = np.indices(SHAPE)
    assert estimate_noise(volume(100.0 + 2.0 * i + 3.0 * j + k), 2) < 1e-4


def test_a_scan_without_tissue_has_nothing_to_judge_by():
    assert estimate_noise(volume(np.zeros(SHAPE)), 2) == 0.0
    speck = np.zeros(SHAPE)
    speck[20:24, 20:24, 10:14] = 100.0
    assert estimate_noise(volume(speck), 2) == 0.0


def test_the_median_is_scaled_by_the_quartile_of_the_normal_distribution():
    assert pytest.approx(1.0 / ndtri(0.75), rel=1e-4) == SIGMA_PER_MAD


@pytest.mark.parametrize("offset", [1000.0, -400.0])
@pytest.mark.parametrize("sigma", [2.0, 25.0])
def test_an_offset_of_the_intensities_does_not_change_the_noise(sigma, offset):
    scan = rician(head(), sigma, 0)
    expected = estimate_noise(volume(scan), 2)
    assert estimate_noise(volume(scan + np.float32(offset)), 2) == pytest.approx(
        expected, rel=0.05
    )
