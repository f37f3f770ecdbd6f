import numpy as np
import pytest

from inversesr.acquisition.foreground import air_level, foreground
from tests.support.heads import head_volume


@pytest.mark.parametrize("noise", [0.0, 4.0, 20.0])
def test_the_air_of_a_magnitude_scan_is_at_zero(noise):
    assert air_level(head_volume(noise=noise).data) == 0.0


@pytest.mark.parametrize("offset", [3000.0, -500.0, 40.0])
def test_air_is_found_where_an_offset_put_it(offset):
    data = head_volume(noise=2.0).data
    assert air_level(data + np.float32(offset)) == pytest.approx(offset, abs=2.0)


def test_the_level_of_air_scales_with_the_intensities():
    data = head_volume().data + np.float32(1000.0)
    assert air_level(1e-6 * data) == pytest.approx(1e-6 * air_level(data), rel=1e-3)


def test_a_single_voxel_far_below_air_does_not_move_it():
    data = head_volume().data.copy()
    data[0, 0, 0] = -5000.0
    assert air_level(data) == 0.0


def test_where_a_tenth_is_exactly_zero_the_rest_is_foreground():
    data = np.array([0.0, 0.0, 1.0, 100.0] * 8, np.float32).reshape(4, 4, 2)
    np.testing.assert_array_equal(foreground(data), data > 0)
