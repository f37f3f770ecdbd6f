import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.kspace.layout import arrange, fit_mask, order
from inversesr.io.kspace.record import RawKSpace

DATA = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.complex64)
SAMPLED = np.ones((5, 6, 3), dtype=bool)


@pytest.mark.parametrize("letters", ["cxyz", "zyxc", "xyzc"])
def test_axes_come_into_order_wherever_they_are(letters):
    array = DATA.transpose(["cxyz".index(letter) for letter in letters])
    found, encoded = arrange(array, letters, "data")
    assert np.array_equal(found, DATA)
    assert encoded == (0, 1, 2)


def test_slices_are_not_encoded_and_coils_may_be_missing():
    found, encoded = arrange(DATA[0], "xys", "data")
    assert found.shape == (1, 5, 6, 3)
    assert encoded == (0, 1)


@pytest.mark.parametrize("letters", ["cxy", "cxyq", "ccxy", "csxz", "cyzs", "xyzs"])
def test_letters_that_do_not_fit_are_refused(letters):
    with pytest.raises(InputError, match="expected"):
        order(RawKSpace(DATA), letters, "data")


def test_axes_that_nothing_tells_are_asked_for():
    with pytest.raises(InputError, match="--axes"):
        order(RawKSpace(DATA), None, "data")


@pytest.mark.parametrize(
    ("shape", "axes"), [((6,), (1,)), ((5, 6), (0, 1)), ((6, 3), (1, 2)), ((1, 6, 1), (1,))]
)
def test_a_mask_is_spread_over_the_axes_it_lacks(shape, axes):
    mask = np.random.default_rng(1).random(shape) < 0.5
    found = fit_mask(mask, SAMPLED, "data")
    missing = tuple(axis for axis in range(3) if axis not in axes)
    assert np.array_equal(found.all(axis=missing), mask.squeeze())
    assert np.array_equal(found.any(axis=missing), mask.squeeze())


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(InputError, match="does not fit"):
        fit_mask(np.ones((7, 7), dtype=bool), SAMPLED, "data")


def test_a_mask_of_other_data_is_refused():
    sampled = SAMPLED.copy()
    sampled[:, ::2] = False
    with pytest.raises(InputError, match="zero in every coil"):
        fit_mask(np.ones((5, 6, 3), dtype=bool), sampled, "data")


def test_an_array_that_is_no_kspace_is_refused():
    with pytest.raises(InputError, match=r"holds <U1; expected complex numbers"):
        arrange(np.full((2, 5, 6), "a"), "cxy", "data")
    with pytest.raises(InputError, match=r"has \(1, 6\) samples in x and y"):
        arrange(DATA[:, :1], "cxyz", "data")


def test_a_mask_that_marks_nothing_is_refused():
    with pytest.raises(InputError, match="marks nothing as measured"):
        fit_mask(np.zeros((5, 6), dtype=bool), SAMPLED, "data")
