import numpy as np
import torch

from inversesr.operators.compose import Composed
from inversesr.operators.resample import RigidResample
from inversesr.volume import Grid
from inversesr.workflows.stack import Stack, whitened
from tests.support.laws import normal
from tests.support.measurements import SHAPE, SLICES

GRID = Grid(SHAPE, np.eye(4))


def stack(operator, sigma, coverage=1.0):
    y = normal(SLICES.out_shape, 1)
    covered = torch.full_like(y, coverage)
    return Stack(None, GRID, None, operator, covered, 0.0, 1.0, y, sigma)


def test_noise_is_one_in_all_stacks_and_what_is_not_covered_is_left_out():
    given = [stack(SLICES, 0.5), stack(SLICES, 2.0), stack(SLICES, 2.0, coverage=0.5)]
    A, y = whitened(given)
    x = normal(SHAPE, 2)
    parts = A.split(A(x))
    torch.testing.assert_close(parts[0], SLICES(x) / 0.5)
    torch.testing.assert_close(parts[1], SLICES(x) / 2.0)
    assert not parts[2].any()
    assert not A.split(y)[2].any()
    torch.testing.assert_close(A.split(y)[0], given[0].y / 0.5)


def test_the_parts_of_an_operator_are_its_slices_and_its_place():
    W = RigidResample(GRID, GRID, np.eye(4))
    assert stack(SLICES, 1.0).forward is SLICES
    moved = stack(Composed(SLICES, W), 1.0)
    assert moved.forward is SLICES
    assert moved.resample is W
