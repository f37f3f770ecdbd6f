"""What follows the motion is told from what does not."""

from dataclasses import replace

import numpy as np
import torch

from inversesr.workflows.series.motion import courses_of_motion, find_motion
from tests.support.laws import normal
from tests.workflows.series.test_window import model


def moving(n=40):
    poses = [np.eye(4) for _ in range(n)]
    for t, pose in enumerate(poses):
        pose[0, 3], pose[2, 3] = np.sin(t), 0.02 * t
    return replace(model(n), poses=tuple(poses))


def test_courses_are_those_of_the_freedoms_that_move_and_a_constant():
    assert courses_of_motion(moving()).shape == (40, 3)
    assert courses_of_motion(moving(20)).shape == (20, 1)
    assert courses_of_motion(model(40)).shape == (40, 1)
    Q, t = courses_of_motion(moving()), np.arange(40.0)
    course = 2.0 * np.sin(t) + 0.5 * t + 3.0
    assert np.allclose(Q @ (Q.T @ course), course, atol=1e-6)
    assert np.square(Q.T @ np.cos(t)).sum() < 0.05 * np.square(np.cos(t)).sum()


def test_errors_that_follow_the_motion_are_found_and_other_changes_are_not():
    found = moving()
    mean = torch.zeros(found.wide.shape)
    t = torch.arange(40.0)[:, None, None, None]
    error, change = normal((2, 8, 8, 4), 0, torch.float32)
    y = error * torch.sin(t) + change * torch.cos(t)
    motion = find_motion(lambda n: y[n], found, mean)
    apart = motion.of(range(40))
    assert float((apart - error * torch.sin(t)).square().mean()) < 0.06
    assert torch.equal(motion.of(range(10, 20)), apart[10:20])
