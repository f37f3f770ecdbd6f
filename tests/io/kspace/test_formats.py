import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.kspace.formats import READERS, assemble, read_kspace
from inversesr.io.kspace.record import RawKSpace

RNG = np.random.default_rng(0)
DATA = (RNG.normal(size=(3, 8, 9)) + 1j * RNG.normal(size=(3, 8, 9))).astype(np.complex64)


def save(folder, name, array):
    np.save(folder / name, array)
    return folder / name


def test_what_was_not_measured_is_found_from_zeros(tmp_path):
    data = DATA.copy()
    data[:, :, 1::2] = 0
    kspace = read_kspace(save(tmp_path, "k.npy", data))
    assert np.array_equal(kspace.measured[0, :, 0], np.arange(9) % 2 == 0)


def test_a_mask_that_is_given_undersamples_whole_data(tmp_path):
    mask = np.arange(9) % 3 == 0
    kspace = read_kspace(save(tmp_path, "k.npy", DATA), mask=save(tmp_path, "m.npy", mask))
    assert kspace.acceleration == 3.0
    assert not kspace.samples[:, ~kspace.measured].any()


def test_one_nan_is_enough_to_refuse():
    data = DATA.copy()
    data[0, 2, 2] = np.nan
    with pytest.raises(InputError, match=r"1 samples that are NaN"):
        assemble(RawKSpace(data, "cxy"), "k.npy")


def test_nothing_but_zeros_is_refused():
    with pytest.raises(InputError, match=r"nothing but zeros"):
        assemble(RawKSpace(0 * DATA, "cxy"), "k.npy")


def test_maps_and_noise_of_other_coils_are_refused():
    with pytest.raises(InputError, match=r"coil maps.*expected.*coils first"):
        assemble(RawKSpace(DATA, "cxy", maps=DATA[:2]), "k.npy")
    with pytest.raises(InputError, match=r"noise scan.*3 coils"):
        assemble(RawKSpace(DATA, "cxy", noise=np.ones((4, 50))), "k.npy")


def test_a_noise_scan_may_have_its_coils_last():
    noise = RNG.normal(size=(50, 3)).astype(np.complex64)
    kspace = assemble(RawKSpace(DATA, "cxy", noise=noise), "k.npy")
    assert np.array_equal(kspace.noise, noise.T)


@pytest.mark.parametrize("name", ["missing.npy", "scan.nii.gz"])
def test_missing_files_and_unknown_formats_are_refused(tmp_path, name):
    with pytest.raises(InputError, match=r"expected"):
        read_kspace(tmp_path / name)


@pytest.mark.parametrize("ending", [ending for endings in READERS for ending in endings])
def test_rubbish_in_any_format_is_one_sentence(tmp_path, ending):
    path = tmp_path / f"k{ending}"
    path.write_bytes(b"no k-space at all" * 50)
    path.with_suffix(".cfl").write_bytes(b"no k-space")
    with pytest.raises(InputError, match=r"^[^\n]+$"):
        read_kspace(path)
