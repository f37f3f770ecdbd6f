import h5py
import pytest

from inversesr.errors import InputError
from inversesr.io.kspace.hdf5 import load


def test_a_file_of_something_else_is_refused(tmp_path):
    with h5py.File(tmp_path / "k.h5", "w") as file:
        file["images"] = [1, 2, 3]
    with pytest.raises(InputError, match="holds images; expected"):
        load(tmp_path / "k.h5")
