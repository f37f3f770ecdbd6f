import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.dicom.files import read_place
from inversesr.io.dicom.planes import directions_of, planes_of
from inversesr.volume import Grid, Volume
from tests.support.dicom import LPS_FROM_RAS, affine_of, slices, stack, write

AFFINE = affine_of(turn=(0.2, -0.3, 0.1))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(), (0,), (1, 2), (0, 1, 2)])
def test_slices_lie_as_those_of_the_source_whatever_the_order_of_voxels(order, flips):
    data = stack((5, 6, 7)).astype(np.float32)
    volume, affine = np.transpose(data, order), AFFINE[:, [*order, 3]]
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (volume.shape[axis] - 1)
        affine[:3, axis] *= -1
        volume = np.flip(volume, axis)
    lps = LPS_FROM_RAS @ AFFINE[:3, :3] / (0.9, 0.8, 5.0)
    planes = planes_of(Volume(volume, Grid(volume.shape, affine)), *lps.T[[0, 1, 2]])
    np.testing.assert_array_equal(planes.data, np.transpose(data, (2, 1, 0)))
    np.testing.assert_allclose(planes.spacing_mm, (5.0, 0.8, 0.9))
    last = LPS_FROM_RAS @ (AFFINE @ [0, 0, 6, 1])[:3]
    np.testing.assert_allclose(planes.positions[-1], last, atol=1e-9)


def test_an_image_with_other_axes_is_refused():
    volume = Volume(np.zeros((5, 6, 7), np.float32), Grid((5, 6, 7), np.eye(4)))
    turned = affine_of(spacing=(1, 1, 1), turn=(0.3, 0, 0))[:3, :3]
    with pytest.raises(InputError, match="other axes"):
        planes_of(volume, *turned.T)


@pytest.mark.parametrize("is_reversed", [False, True])
def test_slices_run_in_the_order_of_their_numbers(tmp_path, is_reversed):
    made = slices(stack(), AFFINE)
    if is_reversed:
        for n, one in enumerate(made[::-1]):
            one.InstanceNumber = n + 1
    found = read_place(write(tmp_path, made), tmp_path)
    found.sort(key=lambda one: one.number)
    row, column, across = directions_of(tuple(found))
    sign = -1.0 if is_reversed else 1.0
    np.testing.assert_allclose(across, sign * np.cross(row, column), atol=1e-9)
