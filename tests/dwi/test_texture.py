import numpy as np
import pytest

from inversesr.dwi.texture import DIRECTIONS, cooccurrence, tone_difference


def by_hand(levels):
    """Count pairs of neighbours one by one."""
    n = levels.max()
    counts = np.zeros((n, n))
    for at in np.argwhere(levels > 0):
        for other in np.argwhere(levels > 0):
            if 0 < np.abs(at - other).max() <= 1:
                counts[levels[tuple(at)] - 1, levels[tuple(other)] - 1] += 1
    return counts / counts.sum()


def test_there_are_thirteen_directions():
    assert len(DIRECTIONS) == 13


def test_neighbours_are_counted_as_by_hand():
    levels = np.random.default_rng(0).integers(0, 4, (3, 4, 3))
    assert cooccurrence(levels) == pytest.approx(by_hand(levels))


def test_neighbours_across_the_border_are_none():
    levels = np.array([1, 0, 0, 2]).reshape(4, 1, 1)
    assert cooccurrence(levels).sum() == 0.0


def test_differences_from_neighbours_are_those_by_hand():
    counts, differences = tone_difference(np.array([1, 3, 2]).reshape(3, 1, 1))
    assert counts.tolist() == [1, 1, 1]
    assert differences.tolist() == [2.0, 1.0, 1.5]
