import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from inversesr.errors import InputError
from inversesr.io.nifti import Scan, write_volume
from inversesr.training.alignment import (
    align_brains,
    as_t1,
    brain_labels,
    cropped,
    likeness,
    resampled,
)
from inversesr.volume import Grid, Volume

GRID = Grid((40, 48, 40), np.diag([1.0, 1.0, 1.0, 1.0]))


def turned(degrees, shift):
    angle = np.deg2rad(degrees)
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    pose[:3, 3] = shift
    return pose


@pytest.fixture
def brain():
    """An ellipsoid with structures in it that tell every direction."""
    rng = np.random.default_rng(0)
    inside = sum(
        ((np.arange(n) - (n - 1) / 2).reshape([-1 if a == b else 1 for b in range(3)]) / r) ** 2
        for a, (n, r) in enumerate(zip(GRID.shape, (14, 19, 15), strict=True))
    )
    texture = gaussian_filter(rng.normal(size=GRID.shape), 3.0)
    data = (inside < 1) * (120.0 + 900.0 * texture).clip(30, 255)
    return Volume(data.astype(np.float32), GRID)


def test_a_brain_in_another_pose_comes_back_to_the_template(brain, tmp_path):
    pose = turned(8.0, (6.0, -4.0, 9.0))
    # the same voxels elsewhere in the world
    moved = Volume(brain.data, Grid(GRID.shape, pose @ GRID.affine))
    path = tmp_path / "a_T1w.nii.gz"
    write_volume(path, moved, Scan.made_here(moved))
    found = next(align_brains([path], brain, GRID))
    assert found.voxels.dtype == np.uint8
    assert found.quality > 0.99
    assert np.corrcoef(found.voxels.ravel(), brain.data.ravel())[0, 1] > 0.98


def test_labels_stay_labels_and_what_lies_outside_the_brain_is_left_out(tmp_path):
    labels = np.zeros(GRID.shape, dtype=np.float32)
    labels[4:36, 4:44, 4:36] = 502
    labels[9:31, 9:39, 9:31] = 1005
    labels[12:28, 13:35, 12:28] = 2
    labels[16:24, 18:22, 16:22] = 4
    scan = Volume(labels, GRID)
    path = tmp_path / "a_seg.nii.gz"
    write_volume(path, scan, Scan.made_here(scan))
    template = scan.with_data(as_t1(brain_labels(labels)))
    found = next(align_brains([path], template, GRID))
    assert set(np.unique(found.voxels)) == {0, 2, 3, 4}
    assert (found.voxels == brain_labels(labels)).mean() > 0.97


def test_the_size_of_a_brain_is_kept(brain):
    larger = Grid(GRID.shape, np.diag([1.2, 1.2, 1.2, 1.0]))
    there = resampled(brain.data, larger, Grid((60, 60, 60), np.eye(4)), np.eye(4), order=0)
    assert (there > 0).sum() == pytest.approx(1.2**3 * (brain.data > 0).sum(), rel=0.02)


def test_cropping_leaves_a_brain_where_it_is(brain):
    small = cropped(brain)
    assert small.grid.shape < GRID.shape
    back = resampled(small.data, small.grid, GRID, np.eye(4), order=0)
    assert np.array_equal(back, brain.data)
    with pytest.raises(InputError, match="empty"):
        cropped(brain.with_data(np.zeros(GRID.shape)))


def test_an_image_is_most_like_itself(brain):
    assert likeness(brain.data, brain.data) == pytest.approx(1.0)
    assert likeness(brain.data[::-1], brain.data) < 0.9


def test_both_halves_are_painted_alike():
    labels = np.array([[2, 41, 3, 42, 4, 43, 7, 46, 0]], dtype=np.float32)
    painted = as_t1(labels)[0]
    assert (painted[:8:2] == painted[1:8:2]).all()
    assert painted[0] > painted[2] > painted[4] > painted[8] == 0.0
