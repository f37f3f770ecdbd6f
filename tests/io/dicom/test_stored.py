import numpy as np
import pytest

from inversesr.io.dicom.stored import decimal, store


@pytest.mark.parametrize("scale", [1e-4, 1.0, 333.3, 1e7])
@pytest.mark.parametrize("low", [-0.7, 0.0, 0.2])
def test_stored_values_are_right_to_half_a_step(scale, low):
    image = (np.random.default_rng(0).uniform(low, 1.0, (7, 8, 9)) * scale).astype(np.float32)
    stored = store(image)
    slope, intercept = float(decimal(stored.slope)), float(decimal(stored.intercept))
    back = stored.data.astype(np.float64) * slope + intercept
    assert np.abs(back - image).max() <= 0.5001 * slope
    assert slope <= 1.001 * (max(image.max(), 0) - min(image.min(), 0)) / 65534


def test_zero_is_stored_exactly():
    image = np.array([[[-3.3, 0.0, 17.77]]], dtype=np.float32)
    stored = store(image)
    back = stored.data * stored.slope + stored.intercept
    assert back[0, 0, 1] == pytest.approx(0.0, abs=1e-9)


def test_an_image_of_zeros_stays_one():
    stored = store(np.zeros((2, 3, 4), np.float32))
    assert not stored.data.any()
    assert stored.window[1] > 0


def test_the_window_spans_tissue_without_the_brightest_voxels():
    rng = np.random.default_rng(0)
    image = np.abs(rng.normal(0, 2, (20, 20, 20))).astype(np.float32)
    image[5:15, 5:15, 5:15] = rng.uniform(300, 700, (10, 10, 10))
    image[10, 10, 10] = 1e5
    centre, width = store(image).window
    assert centre - width / 2 < 5
    assert 690 < centre + width / 2 < 800


def test_decimals_fit_a_value_of_dicom():
    for value in (-1.2345678901234e-5, 1e7 / 3, -65535.0 / 7, 1e-30):
        assert len(decimal(value)) <= 16
