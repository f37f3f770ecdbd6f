import numpy as np
import pytest

from inversesr.acquisition.spoilt_slices import find_spoilt
from tests.support.heads import head_volume

HEAD = head_volume((60, 64, 16), (3.0, 3.0, 6.0), folds=4.0)


def found(data, axis=2):
    moved = np.moveaxis(data, 2, axis)
    spacing = [3.0, 3.0, 3.0]
    spacing[axis] = 6.0
    return find_spoilt(np.ascontiguousarray(moved), axis, tuple(spacing))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_head_has_no_spoilt_slices(axis):
    assert found(HEAD.data, axis) == {}


@pytest.mark.parametrize(("factor", "kind"), [(0.5, "dark"), (0.0, "dark"), (1.8, "bright")])
@pytest.mark.parametrize("lost", [[6], [5, 10]], ids=str)
def test_a_slice_of_other_brightness_is_found_and_its_neighbours_are_not(lost, factor, kind):
    data = HEAD.data.copy()
    data[..., lost] *= factor
    assert found(data) == dict.fromkeys(lost, kind)


@pytest.mark.parametrize("axis", [0, 2])
def test_a_displaced_slice_is_found(axis):
    data = HEAD.data.copy()
    data[..., 7] = np.roll(data[..., 7], (3, -2), axis=(0, 1))
    assert found(data, axis) == {7: "displaced"}


@pytest.mark.parametrize(("copy", "original"), [(8, 7), (7, 8)])
def test_of_two_equal_slices_the_one_out_of_place_is_found(copy, original):
    data = HEAD.data.copy()
    data[..., copy] = data[..., original]
    assert found(data) == {copy: "doubled"}


def test_slices_that_were_all_stored_twice_are_not_spoilt():
    assert found(np.repeat(HEAD.data, 2, axis=2)) == {}


def test_a_slow_change_of_brightness_along_the_stack_is_not_spoilt():
    gain = np.linspace(0.5, 1.6, HEAD.data.shape[2], dtype=np.float32)
    assert found(HEAD.data * gain) == {}
