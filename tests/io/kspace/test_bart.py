import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.kspace.bart import load
from inversesr.io.kspace.formats import read_kspace

RNG = np.random.default_rng(0)


def save(folder, array):
    """Write as BART does: readout, phase, second phase, coils, ..."""
    shape = (*array.shape, *(1 for _ in range(16 - array.ndim)))
    (folder / "k.hdr").write_text("# Dimensions\n" + " ".join(map(str, shape)) + "\n# Command\n")
    array.astype("<c8").ravel(order="F").tofile(folder / "k.cfl")
    return folder / "k.cfl"


def data(*shape):
    return (RNG.normal(size=shape) + 1j * RNG.normal(size=shape)).astype(np.complex64)


@pytest.mark.parametrize("shape", [(6, 7, 1, 3), (6, 7, 4, 3), (6, 7, 1, 1)])
def test_dimensions_are_told_apart(tmp_path, shape):
    array = data(*shape)
    kspace = read_kspace(save(tmp_path, array))
    assert np.array_equal(kspace.samples, array.transpose(3, 0, 1, 2))
    assert kspace.encoded == ((0, 1, 2) if shape[2] > 1 else (0, 1))


def test_the_header_may_be_named_too(tmp_path):
    save(tmp_path, data(6, 7, 1, 2))
    assert load(tmp_path / "k.hdr").array.shape == (6, 7, 2)


def test_slices_lie_along_dimension_13(tmp_path):
    array = data(6, 7, 1, 3).reshape(6, 7, 1, 3)
    many = np.stack([array, 2 * array], axis=-1).reshape(6, 7, 1, 3, *(1 for _ in range(9)), 2)
    kspace = read_kspace(save(tmp_path, many))
    assert kspace.samples.shape == (3, 6, 7, 2)
    assert kspace.encoded == (0, 1)


def test_several_images_and_lost_bytes_are_refused(tmp_path):
    with pytest.raises(InputError, match="bart slice"):
        load(save(tmp_path, data(6, 7, 1, 3, 1, 2)))
    path = save(tmp_path, data(6, 7, 1, 3))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="bytes; expected"):
        load(path)
