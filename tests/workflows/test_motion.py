from dataclasses import replace

import numpy as np
import torch

from inversesr.measurements.slice_motion import interleaves
from inversesr.workflows.motion import is_moved, restore_moved
from tests.measurements.test_slice_motion import blobs, moved, rigid, task_of


def quiet(_phase, _done, _total):
    """Report nothing."""


def interpolated(task):
    return task.x0


def true_motion(task):
    return rigid([2.0, -1.5, 1.5], [1.0, -1.5, 1.0], interleaves(task)[1].centre_mm)


def error_of(image, x):
    inner = (slice(4, -4),) * 3
    return float((image - x)[inner].square().mean())


def test_a_moved_stack_is_restored_better_than_without_poses():
    x = blobs()
    task = moved(x, true_motion(task_of(x)))
    found = restore_moved(task, "interleaves", interpolated, quiet)
    assert error_of(found.solution.x, x) < error_of(task.x0, x) / 2.0
    poses = found.facts["poses"]
    assert sorted(k for pose in poses for k in pose["slices"]) == list(range(10))
    assert len(poses) == 2
    assert np.allclose(poses[0]["degrees"], 0.0)


def test_single_slices_of_a_still_stack_stay_and_cost_nothing():
    x = blobs()
    task = task_of(x)
    found = restore_moved(task, "slices", interpolated, quiet)
    poses = found.facts["poses"]
    assert [p["slices"] for p in poses] == [[k] for k in range(10)]
    assert max(np.linalg.norm(p["mm"]) for p in poses) < 1.0


def test_motion_is_seen_where_there_is_some_and_nowhere_else():
    x = blobs()
    still = task_of(x)
    assert not is_moved(still)
    assert is_moved(moved(x, true_motion(still)))
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 1.0, still.y.shape)).float()
    assert not is_moved(replace(still, y=still.y + noise))


def test_a_stack_with_holes_is_not_asked():
    x = blobs()
    task = moved(x, true_motion(task_of(x)))
    holed = replace(task.acquisition, missing=(4,))
    assert not is_moved(
        replace(task, y=task.y[..., [k for k in range(10) if k != 4]], acquisition=holed)
    )
