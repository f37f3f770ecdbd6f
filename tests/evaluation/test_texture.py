import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from inversesr.evaluation.texture import deviation_ratio, smooth_tissue
from tests.support.tissues import painted_brain, tissue_labels

LABELS = tissue_labels()
TRUTH = painted_brain(LABELS, noise=4.0).data


@pytest.fixture
def smooth():
    return smooth_tissue(LABELS, TRUTH)


def test_the_truth_has_its_own_deviation_and_a_contrast_scales_it(smooth):
    assert deviation_ratio(TRUTH, TRUTH, smooth) == pytest.approx(1.0)
    assert deviation_ratio(3.0 * TRUTH + 50.0, TRUTH, smooth) == pytest.approx(3.0, rel=1e-4)


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
def test_the_ratio_is_that_of_the_noise_that_was_added(smooth, factor):
    other = painted_brain(LABELS, noise=4.0 * factor, seed=1).data
    assert deviation_ratio(other, TRUTH, smooth) == pytest.approx(factor, abs=0.06)


def test_a_blurred_image_has_less(smooth):
    assert deviation_ratio(gaussian_filter(TRUTH, 0.7), TRUTH, smooth) < 0.6


def test_nothing_but_one_tissue_is_near_and_fluid_does_not_count(smooth):
    assert smooth.any()
    for place in np.argwhere(smooth)[::37]:
        near = LABELS[tuple(slice(p - 2, p + 3) for p in place)]
        assert np.unique(near).tolist() in ([2], [3])


def test_tissue_that_a_program_painted_does_not_count():
    painted = np.where(LABELS == 3, np.float32(110.0), TRUTH)
    smooth = smooth_tissue(LABELS, painted)
    assert not smooth[gaussian_filter((LABELS == 3).astype(float), 2.0) > 0.99].any()
    assert smooth[LABELS == 2].any() or not smooth.any()


def test_too_little_smooth_tissue_gives_no_figure():
    assert deviation_ratio(TRUTH, TRUTH, np.zeros(TRUTH.shape, bool)) is None
