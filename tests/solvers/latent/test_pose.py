import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq

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


def likeness(wanted):
    """A head in its place whose correlation with the mean image within the head is given."""
    inside = MEAN.data > 0.2 * np.percentile(MEAN.data, 99.0)
    own = gaussian_filter(np.random.default_rng(0).normal(size=RAS.shape), 3.0)
    own *= MEAN.data[inside].std() / own[inside].std()

    def mixed(share):
        return MEAN.with_data(np.where(inside, 200.0 + MEAN.data + share * own, 0.0))

    def excess(share):
        smooth = [gaussian_filter(v.data, 1.5)[inside] for v in (mixed(share), MEAN)]
        return np.corrcoef(smooth)[0, 1] - wanted

    return mixed(brentq(excess, 0.0, 20.0))


@pytest.mark.parametrize(("wanted", "is_accepted"), [(0.68, False), (0.72, True)])
def test_a_head_is_accepted_from_a_correlation_of_seven_tenths(monkeypatch, wanted, is_accepted):
    # no registration may raise the correlation
    monkeypatch.setattr("inversesr.solvers.latent.pose.register_rigid", lambda *_: np.eye(4))
    found = find_pose(likeness(wanted), None, MEAN, 0, is_stripped=True)
    assert isinstance(found, Pose) is is_accepted
    if is_accepted:
        assert found.quality == pytest.approx(wanted, abs=0.015)
    else:
        assert "expected at least 0.7" in found.reason


@pytest.mark.parametrize(("share", "is_enough"), [(0.55, False), (0.65, True)])
def test_six_tenths_of_the_mean_image_must_be_seen(share, is_enough):
    foreground = (MEAN.data > 5.0).astype(np.float32)
    counted = np.cumsum(foreground.sum(axis=(0, 1))) / foreground.sum()
    n = int(np.searchsorted(counted, share)) + 1
    part = MEAN.cropped((slice(None), slice(None), slice(0, n)))
    assert (pose_quality(part, MEAN, foreground, np.eye(4)) > 0.9) is is_enough


def test_the_seed_of_the_pose_is_that_of_the_registration(monkeypatch):
    seeds = []

    def register(_fixed, _moving, _mask, start, seed):
        seeds.append(seed)
        return start

    monkeypatch.setattr("inversesr.solvers.latent.pose.register_rigid", register)
    find_pose(MEAN, None, MEAN, 7, is_stripped=True)
    assert set(seeds) == {7}


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
