import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from inversesr.acquisition.likeness import LEAST_LIKENESS, detail_likeness
from tests.support.heads import head_volume

SPACING = (2.0, 2.0, 2.0)


def head(seed=0, noise=4.0):
    """A head of details of about 12 mm."""
    return head_volume((64, 68, 56), SPACING, seed, noise, folds=16.0).data


def likeness(a, b, is_seen=None, slice_mm=4.0):
    is_seen = np.ones(a.shape, bool) if is_seen is None else is_seen
    return detail_likeness(a, b, is_seen, SPACING, slice_mm)


@pytest.mark.parametrize("noise", [0.0, 10.0, 40.0])
def test_one_head_is_like_itself_whatever_the_noise_and_the_scale(noise):
    rng = np.random.default_rng(1)
    other = 3.0 * head(noise=0.0) + 500.0 + rng.normal(0, 3 * noise, head().shape)
    assert likeness(head(), other.astype(np.float32)) > 0.75


@pytest.mark.parametrize("axis", [0, 2])
def test_one_head_in_slices_of_another_direction_is_still_like_itself(axis):
    sigma = [0.0, 0.0, 0.0]
    sigma[axis] = 1.2
    assert likeness(gaussian_filter(head(), sigma), gaussian_filter(head(), (0, 1.2, 0))) > 0.75


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_different_heads_are_not_alike_though_their_outline_is_the_same(seed):
    assert np.corrcoef(head().ravel(), head(seed).ravel())[0, 1] > 0.7
    assert likeness(head(), head(seed)) < LEAST_LIKENESS


def test_a_head_that_is_elsewhere_is_not_alike():
    assert likeness(head(), shift(head(), (4, 4, 4), order=1)) < LEAST_LIKENESS


def test_only_what_was_seen_counts():
    other = head(1).copy()
    other[:40] = head()[:40]
    is_seen = np.zeros(other.shape, bool)
    is_seen[:36] = True
    assert likeness(head(), other, is_seen) > 0.95
    assert likeness(head(), other, ~is_seen) < LEAST_LIKENESS


def test_where_there_is_too_little_to_tell_nothing_is_told():
    flat = np.full((20, 20, 20), 5.0, np.float32)
    assert likeness(flat, flat) is None
    assert likeness(head(), head(), np.zeros(head().shape, bool)) is None
    assert likeness(np.zeros_like(flat), flat) is None
