import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import ndtri

from inversesr.acquisition import noise
from inversesr.acquisition.noise import SIGMA_PER_MAD, estimate_noise, find_noise, noise_map
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


def folded(level=100.0):
    """Folds of 6 voxels with sharp edges wherever there is no white matter, as in cortex."""
    i, j, k = np.indices((56, 56, 14))
    folds = np.cos(2.0 * np.pi * (i + j) / 6.0 + np.sin(j / 4.0 + k / 3.0)) > 0.0
    clean = np.where(folds, 0.4 * level, level)
    clean[10:34, 6:36] = level
    return gaussian_filter(clean, (0.4, 0.4, 0.0))


def test_texture_does_not_enter_the_noise():
    scan = rician(folded(), 3.0, 0)
    assert estimate_noise(volume(scan), 2) == pytest.approx(3.0, rel=0.1)
    # the median of all tissue, which texture does enter, is far off
    assert noise._median_noise(scan, np.ones(scan.shape, bool), is_signed=False) > 4.0


def test_air_that_was_set_to_one_value_is_no_noise():
    scan = rician(head(), 5.0, 1)
    scan[head() < 30.0] = 0.0
    assert estimate_noise(volume(scan), 2) == pytest.approx(5.0, rel=0.1)
    assert estimate_noise(volume(scan - 70.0), 2) == pytest.approx(5.0, rel=0.1)


@pytest.mark.parametrize("sigma", [3.0, 20.0])
def test_an_image_of_both_signs_is_judged_everywhere(sigma):
    clean = head() * (1.0 - 1.8 * (np.indices(SHAPE)[0] > 24))
    scan = gaussian_filter(clean, 1.5) + np.random.default_rng(3).normal(0.0, sigma, SHAPE)
    assert noise.has_both_signs(scan.astype(np.float32))
    assert estimate_noise(volume(scan), 2) == pytest.approx(sigma, rel=0.1)


def test_magnitudes_that_were_shifted_have_not_both_signs():
    scan = rician(head(), 5.0, 1)
    assert not noise.has_both_signs(scan)
    assert not noise.has_both_signs(scan - scan.mean())


def test_noise_that_varies_is_mapped():
    shape = (72, 72, 12)
    i, _, _ = np.indices(shape)
    true = 2.0 + 4.0 * i / 71.0
    scan = np.random.default_rng(0).normal(100.0, true)
    scan[:, :8] = 0.0
    found = find_noise(volume(scan), 2)
    assert found.variation > 1.6
    assert found.sigma == pytest.approx(np.sqrt(np.mean(true**2)), rel=0.07)
    mapped = noise_map(volume(np.moveaxis(scan, 2, 0)), 0)
    assert np.median(np.abs(np.moveaxis(mapped, 0, 2) / true - 1.0)[:, 8:]) < 0.07


def test_noise_that_does_not_vary_has_one_value():
    scan = volume(rician(head(), 5.0, 1))
    assert np.unique(noise_map(scan, 2)) == pytest.approx([estimate_noise(scan, 2)])


def test_an_interpolated_scan_is_judged_by_its_coarse_detail():
    rng = np.random.default_rng(0)
    coarse = rng.normal(100.0, 5.0, (40, 40, 12))
    spectrum = np.fft.fftshift(np.fft.fft2(coarse, axes=(0, 1)), axes=(0, 1))
    wide = np.pad(spectrum, ((12, 12), (12, 12), (0, 0)))
    fine = np.fft.ifft2(np.fft.ifftshift(wide, axes=(0, 1)), axes=(0, 1)).real * (64 / 40) ** 2
    found = find_noise(volume(fine), 2)
    assert not found.is_white
    median = noise._median_noise(
        fine.astype(np.float32), np.ones(fine.shape, bool), is_signed=False
    )
    assert found.sigma == pytest.approx(median, rel=1e-5)
