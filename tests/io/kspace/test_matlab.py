import h5py
import numpy as np
import pytest
from scipy.io import savemat

from inversesr.errors import InputError
from inversesr.io.kspace.formats import read_kspace
from inversesr.io.kspace.matlab import load

RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(6, 7, 3)) + 1j * RNG.normal(size=(6, 7, 3))


def test_version_5_needs_to_be_told_its_axes(tmp_path):
    savemat(tmp_path / "k.mat", {"ksp": DATA, "TR": 5.0})
    with pytest.raises(InputError, match="--axes"):
        read_kspace(tmp_path / "k.mat")
    kspace = read_kspace(tmp_path / "k.mat", axes="xyc")
    assert np.allclose(kspace.samples[..., 0], DATA.transpose(2, 0, 1), atol=1e-6)


def test_version_7_3_is_read_in_the_same_order_of_axes(tmp_path):
    pairs = np.zeros(DATA.T.shape, dtype=[("real", "f8"), ("imag", "f8")])
    pairs["real"], pairs["imag"] = DATA.T.real, DATA.T.imag
    with h5py.File(tmp_path / "k.mat", "w", userblock_size=512) as file:
        file["kspace"] = pairs
        file["mask"] = np.ones((7, 6))
    raw = load(tmp_path / "k.mat")
    assert np.allclose(raw.array, DATA)
    assert raw.mask.shape == (6, 7)


def test_several_complex_arrays_are_refused(tmp_path):
    savemat(tmp_path / "k.mat", {"a": DATA, "b": DATA})
    with pytest.raises(InputError, match="one named kspace"):
        load(tmp_path / "k.mat")
