import numpy as np
import pytest

from inversesr.acquisition.lost_slices import doubts_of_slices, empty_slices, equal_slices
from tests.support.heads import head_volume


@pytest.fixture
def slices():
    """Slices of a head along the first axis."""
    return np.ascontiguousarray(np.moveaxis(head_volume().data, 2, 0))


def test_slices_of_a_head_raise_no_doubt(slices):
    for axis in range(3):
        assert doubts_of_slices(np.moveaxis(slices, 0, axis), axis) == []


@pytest.mark.parametrize("offset", [0.0, 3000.0, -500.0])
@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("lost", [[4], [4, 5], [3, 8]], ids=str)
def test_an_empty_slice_inside_the_head_is_named(slices, lost, value, offset):
    spoilt = slices + np.float32(offset)
    spoilt[lost] = value
    assert empty_slices(spoilt) == lost
    (doubt,) = doubts_of_slices(spoilt, 0)
    assert " and ".join(map(str, lost)).replace(" and ", ", ") in doubt


def test_a_slice_of_nothing_but_noise_counts_as_empty(slices):
    spoilt = slices.copy()
    spoilt[6] = np.abs(np.random.default_rng(1).normal(0.0, 4.0, spoilt[6].shape))
    assert empty_slices(spoilt) == [6]


@pytest.mark.parametrize("ends", [[0], [0, 1], [11], [0, 11]], ids=str)
def test_slices_above_and_below_the_head_may_be_empty(slices, ends):
    spoilt = slices.copy()
    spoilt[ends] = 0.0
    assert doubts_of_slices(spoilt, 0) == []


def test_a_slice_at_half_its_brightness_is_not_empty(slices):
    spoilt = slices.copy()
    spoilt[6] *= 0.5
    assert doubts_of_slices(spoilt, 0) == []


@pytest.mark.parametrize(("copy", "original"), [(5, 4), (5, 6), (9, 2)])
def test_a_slice_that_holds_another_once_more_is_named_with_it(slices, copy, original):
    spoilt = slices.copy()
    spoilt[copy] = spoilt[original]
    pair = tuple(sorted((copy, original)))
    assert equal_slices(spoilt) == [pair]
    (doubt,) = doubts_of_slices(spoilt, 0)
    assert f"({pair[0]} and {pair[1]}, counted from 0)" in doubt


def test_slices_that_differ_in_one_voxel_are_not_equal(slices):
    spoilt = slices.copy()
    spoilt[5] = spoilt[4]
    spoilt[5, 20, 20] += 1.0
    assert equal_slices(spoilt) == []


def test_slices_that_are_all_repeated_were_interpolated(slices):
    (doubt,) = doubts_of_slices(np.repeat(slices, 3, axis=0), 0)
    assert "give --thickness" in doubt


def test_a_phantom_that_is_its_own_mirror_image_is_not_taken_for_repeated_slices():
    half = np.random.default_rng(0).uniform(1, 9, (6, 6, 5)).astype(np.float32)
    even = np.concatenate([half, half[..., ::-1]], axis=2)
    (doubt,) = doubts_of_slices(even, 2)
    assert "equal bit by bit (4 and 5" in doubt
    odd = np.concatenate([half, half[..., -2::-1]], axis=2)
    assert doubts_of_slices(odd, 2) == []


def test_an_image_that_is_the_same_almost_everywhere_is_no_error():
    image = np.ones((6, 20, 20), np.float32)
    image[0, 0, 0] = 0.0
    assert empty_slices(image) == []


def test_only_slices_repeated_beside_one_another_were_interpolated(slices):
    (doubt,) = doubts_of_slices(np.concatenate([slices, slices]), 0)
    assert "several times over" not in doubt
    assert "equal bit by bit (" in doubt


def test_slices_are_numbered_as_in_the_file_where_some_are_missing(slices):
    spoilt = np.delete(slices, 3, axis=0)
    spoilt[5] = 0.0
    (doubt,) = doubts_of_slices(spoilt, 0, (3,))
    assert "slice 6 (counted" in doubt
