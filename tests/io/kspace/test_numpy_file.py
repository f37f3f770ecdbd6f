import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.kspace.numpy_file import load

DATA = np.ones((2, 4, 5), dtype=np.complex64)


@pytest.mark.parametrize(("shape", "axes"), [((4, 5), "xy"), ((2, 4, 5), "cxy"), ((5,), None)])
def test_axes_of_a_plain_array_go_by_their_number(tmp_path, shape, axes):
    np.save(tmp_path / "k.npy", np.ones(shape, dtype=np.complex64))
    assert load(tmp_path / "k.npy").axes == axes


def test_an_archive_holds_all_that_belongs_together(tmp_path):
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    mask = np.ones(5, dtype=bool)
    np.savez(tmp_path / "k.npz", kspace=DATA, mask=mask, axes="sxy", affine=affine, noise=DATA)
    raw = load(tmp_path / "k.npz")
    assert (raw.axes, raw.grid.shape) == ("sxy", (4, 5, 2))
    assert np.array_equal(raw.mask, mask)
    assert np.array_equal(raw.noise, DATA)


def test_an_archive_with_several_unknown_names_is_refused(tmp_path):
    np.savez(tmp_path / "k.npz", a=DATA, b=DATA)
    with pytest.raises(InputError, match="array named kspace"):
        load(tmp_path / "k.npz")


def test_pickled_objects_are_not_read(tmp_path):
    np.save(tmp_path / "k.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        load(tmp_path / "k.npy")
