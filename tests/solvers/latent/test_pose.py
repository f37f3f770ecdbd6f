import numpy as np
import pytest

from inversesr.solvers.latent.pose import Pose, PriorRefused, find_pose, pose_quality
from tests.acquisition.test_registration import BLOBS, OBLIQUE, RAS, phantom, rigid

MEAN = phantom(RAS, np.eye(4))
POINTS = np.array([[*centre, 1.0] for centre, _, _ in BLOBS]).T


def scan_in(pose):
    """The same head in a world of its own, on oblique voxels, with other intensities."""
    scan = phantom(OBLIQUE, pose)
    return scan.with_data(3.0 * scan.data + 10.0)


@pytest.mark.parametrize("shift_mm", [(4.0, -4.0, 2.0), (60.0, -40.0, 25.0)], ids=["near", "far"])
def test_the_pose_of_a_head_is_found_wherever_it_is(shift_mm):
    pose = rigid(5.0, (1.0, 2.0, 3.0), (2.0, -2.0, 1.0))
    scan = scan_in(pose)
    affine = scan.grid.affine.copy()
    affine[:3, 3] += shift_mm
    moved = type(scan)(scan.data, type(scan.grid)(scan.grid.shape, affine))
    found = find_pose(moved, None, MEAN, 0, is_stripped=True)
    assert isinstance(found, Pose)
    in_scan_world = np.linalg.inv(pose) @ POINTS
    in_scan_world[:3] += np.array(shift_mm)[:, None]
    off = np.linalg.norm((found.prior_world_from_scan_world @ in_scan_world - POINTS)[:3], axis=0)
    assert off.max() < 1.0
    assert found.quality > 0.95


def test_a_wrong_pose_has_a_lower_quality():
    scan = phantom(OBLIQUE, np.eye(4))
    foreground = (MEAN.data > 5.0).astype(np.float32)
    right, turned, away = (
        pose_quality(scan, MEAN, foreground, pose)
        for pose in (np.eye(4), rigid(40.0, (0, 0, 1), (0, 0, 0)), rigid(0, (1, 0, 0), (80, 0, 0)))
    )
    assert right > 0.99
    assert turned < right - 0.05
    assert away == -1.0


def test_an_inverted_contrast_is_refused():
    scan = phantom(OBLIQUE, np.eye(4))
    inside = scan.data > 5.0
    inverted = scan.with_data(np.where(inside, 200.0 - scan.data, 0.0))
    found = find_pose(inverted, inside.astype(np.float32), MEAN, 0, is_stripped=True)
    assert isinstance(found, PriorRefused)
    assert "tv is used instead" in found.reason


def test_an_empty_scan_is_refused():
    found = find_pose(MEAN.with_data(np.zeros(RAS.shape)), None, MEAN, 0, is_stripped=True)
    assert isinstance(found, PriorRefused)


def test_only_the_brain_is_looked_at_when_a_mask_is_given():
    scan = phantom(OBLIQUE, np.eye(4))
    inside = (scan.data > 5.0).astype(np.float32)
    spoilt = scan.with_data(np.where(inside > 0, scan.data, 500.0))
    found = find_pose(spoilt, inside, MEAN, 0, is_stripped=True)
    assert isinstance(found, Pose)
    assert found.quality > 0.95
