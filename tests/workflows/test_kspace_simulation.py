import numpy as np
import pytest

from inversesr.acquisition.kspace_choices import KSpaceSimulation
from inversesr.errors import InputError
from inversesr.workflows.kspace_simulation import simulate_kspace_file, slices_of
from tests.support.mri import head


def test_slices_about_the_middle_keep_their_place():
    volume = head((12, 14, 9))
    found = slices_of(volume, KSpaceSimulation(n_slices=3, axis="R"))
    assert found.grid.shape == (14, 9, 3)
    assert np.array_equal(found.data[5, 4], volume.data[4:7, 5, 4])
    assert found.grid.affine @ [5, 4, 0, 1] == pytest.approx(volume.grid.affine @ [4, 5, 4, 1])


def test_another_name_than_npz_is_refused_before_reading(tmp_path):
    with pytest.raises(InputError, match=r"\.npz"):
        simulate_kspace_file(tmp_path / "missing.nii.gz", tmp_path / "k.cfl", KSpaceSimulation())
