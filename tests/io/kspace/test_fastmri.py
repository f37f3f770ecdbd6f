import h5py
import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.kspace.formats import read_kspace
from tests.support.raw_data import header

RNG = np.random.default_rng(0)


def save(folder, array, **more):
    with h5py.File(folder / "k.h5", "w") as file:
        file["kspace"] = array
        for name, value in more.items():
            file[name] = value
    return folder / "k.h5"


def data(*shape):
    return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(np.complex64)


def test_slices_of_several_coils_are_read_with_mask_and_voxel_sizes(tmp_path):
    array = data(3, 2, 16, 14)
    mask = np.arange(14) % 2 == 0
    path = save(tmp_path, array, mask=mask, ismrmrd_header=header(x=16, recon_x=8))
    kspace = read_kspace(path)
    assert np.array_equal(kspace.samples[1, :, ::2, 2], array[2, 1, :, ::2])
    assert kspace.acceleration == 2.0
    assert kspace.image_shape == (8, 14, 3)
    assert kspace.grid.spacing_mm == pytest.approx((2.0, 2.0, 5.0))
    assert "no place" in kspace.warnings[0]


def test_a_single_coil_has_no_axis_of_coils(tmp_path):
    assert read_kspace(save(tmp_path, data(3, 8, 9))).samples.shape == (1, 8, 9, 3)


def test_other_axes_are_refused(tmp_path):
    with pytest.raises(InputError, match="slices, coils, x"):
        read_kspace(save(tmp_path, data(8, 9)))
