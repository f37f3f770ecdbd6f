import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import describe_acquisition, fine_grid, forward_operator
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.io.nifti import Scan
from inversesr.measurements.poses import moved_by, refine_pose
from inversesr.operators.compose import Composed
from inversesr.operators.resample import RigidResample
from tests.support.heads import head_volume
from tests.support.laws import normal
from tests.support.problems import one_thread  # noqa: F401  (a fixture)

MIDDLE = np.zeros(3)


def problem(pose):
    """A head, the operator of a stack at any pose, and what the stack shows at one."""
    truth = head_volume()
    thick = simulate(truth, SimulateConfig(thickness_mm=4.0, axis="A"))
    acquisition = describe_acquisition(Scan.made_here(thick), Config(spacing_mm=2.0))
    own = fine_grid(thick.grid, acquisition)
    A = forward_operator(thick.grid, own, acquisition)

    def operator_at(where):
        return Composed(A, RigidResample(truth.grid, own, where))

    x = torch.from_numpy(truth.data).double()
    return x, operator_at, operator_at(pose)(x)


def distance_mm(a, b):
    """The largest distance between where two poses bring the corners of a head."""
    corners = np.array([[i, j, k, 1.0] for i in (-60, 60) for j in (-60, 60) for k in (-60, 60)])
    return float(np.linalg.norm(((a - b) @ corners.T)[:3], axis=0).max())


@pytest.mark.parametrize("noise_share", [0.0, 0.01])
def test_a_pose_that_is_off_by_a_millimetre_is_found(noise_share):
    true = moved_by(np.eye(4), np.array([1.0, -0.5, 0.7, 0.8, -0.6, 0.4]), MIDDLE)
    x, operator_at, y = problem(true)
    y = y + noise_share * float(y.max()) * normal(y.shape, 1)
    found = refine_pose(operator_at, x, y, np.eye(4), MIDDLE)
    assert distance_mm(np.eye(4), true) > 1.5
    assert distance_mm(found, true) < 0.35


def test_a_pose_that_is_right_stays():
    x, operator_at, y = problem(np.eye(4))
    assert distance_mm(refine_pose(operator_at, x, y, np.eye(4), MIDDLE), np.eye(4)) < 0.02


def test_a_slice_that_was_spoilt_does_not_move_the_others():
    x, operator_at, y = problem(np.eye(4))
    y[:, y.shape[1] // 2] = 3.0 * y.max()
    assert distance_mm(refine_pose(operator_at, x, y, np.eye(4), MIDDLE), np.eye(4)) < 0.1


def test_voxels_that_do_not_count_do_not_count():
    x, operator_at, y = problem(np.eye(4))
    seen = torch.ones_like(y, dtype=torch.bool)
    seen[: y.shape[0] // 3] = False
    y[: y.shape[0] // 3] = 0.0
    found = refine_pose(operator_at, x, y, np.eye(4), MIDDLE, seen)
    assert distance_mm(found, np.eye(4)) < 0.02


def test_a_small_motion_turns_about_its_centre():
    centre = np.array([10.0, -20.0, 5.0])
    pose = moved_by(np.eye(4), np.array([3.0, 0.0, 0.0, 0.0, 0.0, 0.0]), centre)
    np.testing.assert_allclose(pose @ np.append(centre, 1.0), np.append(centre, 1.0))
