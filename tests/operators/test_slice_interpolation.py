import numpy as np
import pytest

from inversesr.operators.slice_interpolation import INTERPOLATIONS, interpolation_matrix

POSITIONS = np.linspace(-0.4, 8.4, 45)


@pytest.mark.parametrize("kind", INTERPOLATIONS)
def test_weights_of_every_stored_slice_sum_to_one(kind):
    weights = interpolation_matrix(kind, POSITIONS, 9)
    assert weights.shape == (45, 9)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-12)


@pytest.mark.parametrize("kind", INTERPOLATIONS)
@pytest.mark.parametrize("n", [8, 9])
def test_a_slice_that_is_stored_where_it_was_measured_is_itself(kind, n):
    np.testing.assert_allclose(interpolation_matrix(kind, np.arange(n), n), np.eye(n), atol=1e-12)


@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_a_ramp_stays_a_ramp(kind):
    inside = np.clip(POSITIONS, 0.0, 8.0)
    ramp = interpolation_matrix(kind, POSITIONS, 9) @ np.arange(9.0)
    np.testing.assert_allclose(ramp, inside, atol=1e-12)


@pytest.mark.parametrize("n", [8, 9])
def test_zero_filling_is_what_the_fourier_transform_gives(n):
    y = np.random.default_rng(0).normal(size=n)
    filled = np.fft.irfft(np.fft.rfft(y), 4 * n) * 4
    if n % 2 == 0:  # the highest frequency is shared by its two signs, as irfft does not
        top = np.fft.rfft(y)[-1].real / n
        filled = filled - top * np.cos(np.pi * np.arange(4 * n) / 4)
    found = interpolation_matrix("fourier", np.arange(4 * n) / 4.0, n) @ y
    np.testing.assert_allclose(found, filled, atol=1e-12)


def test_repeated_slices_are_those_that_are_nearest():
    found = interpolation_matrix("nearest", np.array([-0.3, 0.4, 0.6, 1.4, 2.3]), 3)
    np.testing.assert_array_equal(found.argmax(axis=1), [0, 0, 1, 1, 2])
