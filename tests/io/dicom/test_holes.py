import nibabel
import numpy as np
import pytest

from inversesr.io.dicom.convert import convert
from inversesr.io.dicom.files import read_place
from inversesr.io.dicom.series import group
from tests.support.dicom import affine_of, slices, stack, worlds, write

DATA = stack((20, 16, 9))


def holed(folder, left_out, turn=(0.2, -0.3, 0.1)):
    """Convert a series without some of its slices."""
    made = [one for k, one in enumerate(slices(DATA, affine_of(turn=turn))) if k not in left_out]
    scratch = folder / "scratch"
    scratch.mkdir()
    (series,) = group(read_place(write(folder / "source", made), scratch))
    assert not series.fault
    return convert(series, scratch)


class Truth:
    dataobj, shape = DATA, DATA.shape
    affine = affine_of(turn=(0.2, -0.3, 0.1))


@pytest.mark.parametrize("left_out", [[3], [1], [7], [2, 3], [1, 4, 6]], ids=str)
def test_every_voxel_is_where_its_slice_says_and_a_hole_is_empty(tmp_path, left_out):
    made = holed(tmp_path, left_out)
    image = nibabel.load(made.path)
    assert image.shape == DATA.shape
    missing = list(made.facts["MissingSlices"])
    assert len(missing) == len(left_out)
    assert not np.asanyarray(image.dataobj)[..., missing].any()
    expected, found = worlds(Truth), worlds(image)
    near = np.array(list(found))
    lost = {tuple(place) for place in _places(left_out)}
    for place, value in list(expected.items())[::17]:
        k = np.abs(near - place).max(axis=1).argmin()
        assert np.abs(near[k] - place).max() <= 1
        assert found[tuple(near[k])] == (0 if tuple(place) in lost else value)


def _places(left_out):
    """Return the places of slices, as `worlds` tells them."""
    only = np.full(DATA.shape, -1)
    only[..., left_out] = 1

    class Marked:
        dataobj, shape, affine = only, DATA.shape, Truth.affine

    return [place for place, value in worlds(Marked).items() if value == 1]


def test_the_slice_axis_is_stated(tmp_path):
    image = nibabel.load(holed(tmp_path, [4]).path)
    assert image.header.get_dim_info()[2] == 2
