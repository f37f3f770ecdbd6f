from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from inversesr.acquisition.geometry import describe_acquisition, fine_grid, forward_operator
from inversesr.config import Config
from inversesr.io.nifti import Scan
from inversesr.measurements.slice_motion import (
    found_pose,
    interleaves,
    largest_motion,
    single_slices,
    slice_pose,
    whole_operator,
    with_poses,
)
from inversesr.measurements.slices import Task
from inversesr.operators.resample import RigidResample
from inversesr.volume import Grid, Volume
from tests.support.laws import check_operator

SHAPE = (28, 30, 10)


def blobs():
    """A smooth image without symmetries, on the fine grid of the scan."""
    noise = np.random.default_rng(3).normal(size=(28, 30, 30))
    data = gaussian_filter(noise, 4.0)
    data = 60.0 * (data - data.min()) / np.ptp(data)
    return torch.from_numpy(data.astype(np.float32)) + 20.0


def task_of(x):
    grid = Grid(SHAPE, np.diag([1.0, 1.0, 3.0, 1.0]))
    scan = Scan.made_here(Volume(np.ones(SHAPE, np.float32), grid))
    acquisition = describe_acquisition(scan, Config())
    A = forward_operator(grid, fine_grid(grid, acquisition), acquisition)
    return Task(A(x), grid, acquisition, 0.0)


def rigid(degrees, mm, centre):
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(degrees, degrees=True).as_matrix()
    pose[:3, 3] = centre - pose[:3, :3] @ centre + mm
    return pose


def moved(x, pose):
    """Return a scan whose second interleave was taken after a motion, and its parts."""
    task = task_of(x)
    still = Grid(x.shape, task.fine.affine)
    after = task_of(RigidResample(still, still, pose)(x)).y
    y = task.y.clone()
    y[..., 1::2] = after[..., 1::2]
    return replace(task, y=y)


def test_the_parts_of_a_still_stack_are_its_slices():
    x = blobs()
    task = task_of(x)
    groups = interleaves(task)
    for parts in (groups, single_slices(task, groups)):
        assert sorted(k for part in parts for k in part.slices) == list(range(10))
        for part in parts:
            torch.testing.assert_close(part.task.y, task.y[..., list(part.slices)])
            inside = part.covered(part.pose)
            torch.testing.assert_close(
                part.operator(x)[inside], part.task.y[inside], atol=2e-2, rtol=1e-3
            )
    torch.testing.assert_close(whole_operator(task)(x), task.y)


@pytest.mark.parametrize("kind", ["interleaves", "slices"])
def test_the_operator_of_a_moved_part_has_its_adjoint(kind):
    task = task_of(blobs())
    groups = interleaves(task)
    part = (groups if kind == "interleaves" else single_slices(task, groups))[1]
    check_operator(
        replace(part, pose=rigid([1.0, 2.0, -1.0], [0.5, 0, 1], part.centre_mm)).operator
    )


def test_the_pose_of_the_second_interleave_is_found():
    x = blobs()
    task = task_of(x)
    centre = interleaves(task)[1].centre_mm
    true = rigid([2.0, -1.0, 1.5], [1.0, -1.5, 0.5], centre)
    groups = with_poses(interleaves(moved(x, true)), lambda _part: x)
    assert np.array_equal(groups[0].pose, np.eye(4))
    apart = np.linalg.inv(true) @ groups[1].pose
    turned = Rotation.from_matrix(apart[:3, :3]).magnitude() * 180.0 / np.pi
    shifted = (apart @ np.append(centre, 1.0))[:3] - centre
    assert turned < 0.3
    assert np.linalg.norm(shifted) < 0.3
    degrees, mm = largest_motion(groups)
    assert degrees == pytest.approx(np.linalg.norm([2.0, 1.0, 1.5]), abs=0.3)
    assert mm == pytest.approx(np.linalg.norm([1.0, 1.5, 0.5]), abs=0.3)


def test_a_still_head_is_found_still():
    x = blobs()
    groups = with_poses(interleaves(task_of(x)), lambda _part: x)
    degrees, mm = largest_motion(groups)
    assert degrees < 0.05
    assert mm < 0.05


def test_a_slice_that_shows_too_little_keeps_its_pose():
    x = blobs()
    part = single_slices(task_of(x), interleaves(task_of(x)))[3]
    dark = replace(part, task=replace(part.task, y=torch.zeros_like(part.task.y)))
    bright = dark.task.y.clone()
    bright[:5, :5] = 100.0
    dark = replace(dark, task=replace(dark.task, y=bright))
    assert np.array_equal(found_pose(dark, x), dark.pose)


def test_a_slice_that_moved_alone_is_found_and_one_that_did_not_keeps_its_pose():
    x = blobs()
    still = task_of(x)
    parts = single_slices(still, interleaves(still))
    assert np.array_equal(slice_pose(parts[5], x), np.eye(4))
    true = rigid([0.0, 0.0, 3.0], [2.0, -1.0, 0.0], parts[5].centre_mm)
    task = replace(parts[5].task, y=parts[5].operator_at(true)(x))
    found = slice_pose(replace(parts[5], task=task), x)
    apart = np.linalg.inv(true) @ found
    shifted = (apart @ np.append(parts[5].centre_mm, 1.0))[:3] - parts[5].centre_mm
    assert np.linalg.norm(shifted) < 0.4
    # within its plane; a tilt moves a slice this small by next to nothing
    assert abs(Rotation.from_matrix(apart[:3, :3]).as_rotvec(degrees=True)[2]) < 0.5
