import itertools

import numpy as np
import pytest

from inversesr.report.planes import (
    anatomical_plane,
    intensity_range,
    intensity_window,
    nearest_index,
)
from inversesr.volume import Grid, Volume

# Every order and handedness of the three axes.
ORIENTATIONS = [
    "".join(letters[sign] for letters, sign in zip(order, signs, strict=True))
    for order in itertools.permutations(("RL", "AP", "SI"))
    for signs in itertools.product((0, 1), repeat=3)
]
MARK_MM = (2.0, 6.0, 9.0)


def marked(codes, world_mm):
    """A volume in some orientation with one bright voxel at a world position."""
    shape_ras, spacing_ras = (7, 9, 11), (1.0, 2.0, 3.0)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    shape = []
    for axis, code in enumerate(codes):
        world = next(i for i, letters in enumerate(("RL", "AP", "SI")) if code in letters)
        step = spacing_ras[world] * (1.0 if code in "RAS" else -1.0)
        n = shape_ras[world]
        affine[world, axis] = step
        affine[world, 3] = -step * (n - 1) / 2.0
        shape.append(n)
    data = np.zeros(shape, np.float32)
    voxel = np.linalg.inv(affine) @ [*world_mm, 1.0]
    data[tuple(np.round(voxel[:3]).astype(int))] = 1.0
    return Volume(data, Grid(tuple(shape), affine))


@pytest.mark.parametrize("codes", ORIENTATIONS)
@pytest.mark.parametrize(
    ("axis", "mark_mm", "row", "column", "shape", "aspect"),
    [
        pytest.param(0, (0, 6.0, 9.0), 2, 7, (11, 9), 1.5, id="sagittal"),
        pytest.param(1, (2.0, 0, 9.0), 2, 1, (11, 7), 3.0, id="coronal"),
        pytest.param(2, (2.0, 6.0, 0), 1, 1, (9, 7), 2.0, id="axial"),
    ],
)
def test_superior_or_anterior_is_up_and_the_patient_s_right_is_on_the_left(  # noqa: PLR0913 (a case)
    codes, axis, mark_mm, row, column, shape, aspect
):
    plane, found_aspect = anatomical_plane(marked(codes, mark_mm), axis)
    assert plane.shape == shape
    assert np.argwhere(plane == 1.0).tolist() == [[row, column]]
    assert found_aspect == pytest.approx(aspect)


@pytest.mark.parametrize("codes", ORIENTATIONS)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_plane_nearest_to_a_point_holds_what_is_there(codes, axis):
    volume = marked(codes, MARK_MM)
    index = nearest_index(volume.grid, axis, MARK_MM)
    assert anatomical_plane(volume, axis, index)[0].max() == 1.0
    assert anatomical_plane(volume, axis, index - 1)[0].max() == 0.0


def test_noisy_air_does_not_burn_the_image_out():
    head = np.random.default_rng(0).uniform(1, 4, (20, 20, 20))
    head[8:14, 5:15, 5:15] = 50.0
    volume = Volume(head.astype(np.float32), Grid((20, 20, 20), np.eye(4)))
    assert intensity_window(volume)[1] == 50.0


def test_the_window_of_an_almost_empty_image_is_not_empty():
    volume = marked("RAS", MARK_MM)
    assert intensity_window(volume) == (0.0, 1.0)


def test_bright_fat_does_not_leave_the_brain_dark():
    data = np.zeros((20, 20, 20), np.float32)
    data[4:16, 4:16, 4:16] = 100.0
    data[4:16, 4:16, 13:16] = 900.0
    volume = Volume(data, Grid((20, 20, 20), np.eye(4)))
    assert intensity_range(volume) == (0.0, 900.0)
    assert intensity_window(volume) == pytest.approx((0.0, 220.0))


def test_an_image_without_outliers_is_shown_as_before():
    volume = Volume(
        np.random.default_rng(0).uniform(50, 100, (9, 8, 20)).astype(np.float32),
        Grid((9, 8, 20), np.eye(4)),
    )
    assert intensity_window(volume) == intensity_range(volume)
