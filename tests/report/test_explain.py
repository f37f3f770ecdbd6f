import numpy as np
import pytest

from inversesr.report.explain import box_of_change, percent, plane_across, point_of_change
from inversesr.volume import Grid, Volume


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (None, "-"), (0.0, "0.0 %"), (0.0001, "below 0.1 %"), (0.034, "3.4 %"),
        (0.456, "46 %"), (0.9985, "99.9 %"), (1.0, "100.0 %"),
    ],
)  # fmt: skip
def test_shares_are_told_as_exactly_as_is_worth_telling(share, words):
    assert percent(share) == words


@pytest.mark.parametrize("affine", [np.diag([1, 1, 1, 1.0]), np.diag([-1, -1, 2, 1.0])])
def test_a_strip_lies_where_most_changes(affine):
    data = np.zeros((8, 9, 10), np.float32)
    data[2, 6, 3] = -5.0
    data[1, 1, 1] = 1.0
    point = point_of_change(Volume(data, Grid(data.shape, affine)), 1)
    assert point[1] == affine[1, 1] * 6


def test_a_strip_shows_the_surroundings_of_what_changes_most():
    data = np.zeros((80, 9, 60), np.float32)
    data[40, 6, 3] = -5.0
    box = box_of_change(Volume(data, Grid(data.shape, np.diag([1.0, 1.0, 2.0, 1.0]))))
    assert [(s.start, s.stop) for s in box] == [(18, 63), (0, 9), (0, 15)]


@pytest.mark.parametrize(("slice_axis", "plane"), [(0, 1), (1, 2), (2, 1)])
def test_a_strip_cuts_across_the_slices(slice_axis, plane):
    assert plane_across(Grid((4, 4, 4), np.eye(4)), slice_axis) == plane
