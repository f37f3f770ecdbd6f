import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio, structural_similarity

from inversesr.acquisition.foreground import foreground
from inversesr.evaluation.metrics import (
    intensity_range,
    nmse,
    psnr,
    spectral_error,
    ssim,
    unseen_spectral_error,
)

SHAPE = (30, 28, 26)


@pytest.fixture
def truth():
    i, j, k = np.indices(SHAPE)
    radius = np.hypot(np.hypot(i - 15, j - 14), k - 13)
    head = np.where(radius < 10, 100.0 + 20.0 * np.sin(i / 2.0) + 3.0 * k, 0.0)
    return head.astype(np.float32)


@pytest.fixture
def image(truth):
    noise = np.random.default_rng(0).normal(0.0, 5.0, SHAPE)
    return (truth + noise).astype(np.float32)


@pytest.fixture
def axis_mask(truth):
    """All but the border, where smoothing would repeat voxels."""
    return binary_dilation(foreground(truth), iterations=3)


@pytest.fixture
def everywhere():
    return np.ones(SHAPE, dtype=bool)


def test_psnr_is_that_of_scikit_image(truth, image, everywhere):
    expected = peak_signal_noise_ratio(truth, image, data_range=150.0)
    assert psnr(image, truth, everywhere, 150.0) == pytest.approx(expected, rel=1e-6)


def test_ssim_is_that_of_scikit_image_over_the_mask(truth, image):
    mask = foreground(truth)
    _, similarity = structural_similarity(
        truth,
        image,
        data_range=150.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert ssim(image, truth, mask, 150.0) == pytest.approx(similarity[mask].mean(), rel=1e-6)


def test_ssim_of_a_mask_at_the_border_is_that_of_the_whole_volume(truth, image):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[:4, 10:14, -5:] = True
    _, similarity = structural_similarity(
        truth,
        image,
        data_range=150.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert ssim(image, truth, mask, 150.0) == pytest.approx(similarity[mask].mean(), abs=1e-6)


def test_nmse_is_the_squared_nrmse_of_scikit_image(truth, image, everywhere):
    expected = normalized_root_mse(truth, image, normalization="euclidean") ** 2
    assert nmse(image, truth, everywhere) == pytest.approx(expected, rel=1e-5)


def test_voxels_outside_the_mask_count_for_nothing(truth, image):
    mask = foreground(truth)
    spoilt = np.where(mask, image, 1e6).astype(np.float32)
    assert psnr(spoilt, truth, mask, 150.0) == psnr(image, truth, mask, 150.0)
    assert nmse(spoilt, truth, mask) == nmse(image, truth, mask)


def test_identical_images_score_perfectly(truth, everywhere):
    assert psnr(truth, truth, everywhere, 150.0) == float("inf")
    assert ssim(truth, truth, everywhere, 150.0) == pytest.approx(1.0)
    assert nmse(truth, truth, everywhere) == 0.0


def test_scores_do_not_depend_on_the_unit_of_intensity(truth, image, everywhere):
    def scores(scale):
        x, t = (scale * image).astype(np.float32), (scale * truth).astype(np.float32)
        data_range = intensity_range(t)
        return psnr(x, t, everywhere, data_range), ssim(x, t, everywhere, data_range)

    assert scores(1.0) == pytest.approx(scores(0.001), rel=1e-4)


def test_the_foreground_of_a_stripped_brain_is_all_that_is_not_zero(truth):
    assert np.array_equal(foreground(truth), truth > 0.0)


def test_the_foreground_of_a_noisy_head_is_the_head(truth):
    rng = np.random.default_rng(1)
    # a soft edge, as partial volumes make it
    real = gaussian_filter(truth, 1.0) + rng.normal(0.0, 4.0, SHAPE)
    noisy = np.hypot(real, rng.normal(0.0, 4.0, SHAPE)).astype(np.float32)
    deep_inside = binary_erosion(truth > 0.0, iterations=2)
    far_outside = ~binary_dilation(truth > 0.0, iterations=3)
    assert foreground(noisy)[deep_inside].all()
    assert not foreground(noisy)[far_outside].any()


def test_the_intensity_range_spans_the_foreground(truth):
    shifted = truth - np.float32(50.0)
    expected = np.percentile(truth[truth > 0.0], 99.9)
    assert intensity_range(shifted) == pytest.approx(expected, rel=1e-5)


def test_a_constant_image_is_all_foreground():
    constant = np.full(SHAPE, 7.0, dtype=np.float32)
    assert foreground(constant).all()
    assert intensity_range(constant) == 0.0


@pytest.mark.parametrize("where", [slice(0, 1), slice(-1, None), slice(4, 6)])
def test_a_thin_mask_has_an_ssim_wherever_it_lies(where):
    truth = np.random.default_rng(0).uniform(1, 2, (24, 22, 20)).astype(np.float32)
    mask = np.zeros(truth.shape, bool)
    mask[where] = True
    assert ssim(truth, truth, mask, 1.0) == pytest.approx(1.0)
    assert ssim(truth[::-1], truth, mask, 1.0) < 0.9


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_equal_spectra_are_no_error_wherever_the_image_lies(truth, everywhere, axis):
    assert spectral_error(truth, truth, everywhere, axis) == 0.0
    moved = np.roll(truth, 5, axis)
    assert spectral_error(moved, truth, everywhere, axis) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("factor", [0.5, 3.0])
def test_a_brighter_image_is_wrong_by_as_many_decibels(truth, axis_mask, factor):
    found = spectral_error(factor * truth, truth, axis_mask, 2)
    assert found == pytest.approx(abs(20.0 * np.log10(factor)), rel=1e-4)


def test_smoothing_is_an_error_along_its_axis_and_grows_with_it(truth, axis_mask):
    sharp, soft = (gaussian_filter(truth, (0.0, 0.0, s)) for s in (0.5, 1.0))
    first, second = (spectral_error(x, truth, axis_mask, 2) for x in (sharp, soft))
    assert 0.0 < first < second
    assert spectral_error(soft, truth, axis_mask, 0) < second / 2.0


def test_only_what_slices_cannot_show_counts_as_unseen(truth, axis_mask):
    n = truth.shape[2]
    spectrum = np.fft.rfft(truth, axis=2)
    at = np.fft.rfftfreq(n)
    # slices four voxels apart show an eighth of a cycle per voxel
    below, beyond = (np.fft.irfft(spectrum * np.where(there, 2.0, 1.0), n, axis=2)
                     for there in ((at > 0) & (at <= 0.125), at > 0.125))  # fmt: skip
    everywhere = np.ones(truth.shape, bool)
    assert unseen_spectral_error(below, truth, everywhere, 2, 4.0) == pytest.approx(0.0, abs=1e-4)
    doubled = unseen_spectral_error(beyond, truth, everywhere, 2, 4.0)
    assert doubled == pytest.approx(20.0 * np.log10(2.0), rel=1e-4)
    # neither sign cancels the other
    assert unseen_spectral_error(0.5 * truth, truth, axis_mask, 2, 4.0) == pytest.approx(
        20.0 * np.log10(2.0), rel=1e-4
    )
