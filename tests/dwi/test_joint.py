import numpy as np
import pytest

from inversesr.dwi.joint import (
    JointOptions,
    Slicing,
    bright_level,
    restore_details,
    seen_as_slices,
)
from tests.support.diffusion import fine_head, thickened

BLOCK = Slicing(2, np.array([0, 0, 0.5, 0.5, 0, 0]))
OPTIONS = JointOptions(n_samples=8000, n_random=60)


def nothing(image):
    """A default solver that adds no detail."""
    return np.zeros((*image.shape, 2), np.float32)


@pytest.fixture(scope="module")
def head():
    return fine_head((24, 24, 24), n=6, noise=10.0)


def restored(thick, options=OPTIONS):
    is_b0 = np.arange(len(thick)) == 0
    return restore_details(thick, is_b0, BLOCK, nothing, options)


def error(details, head):
    thick = thickened(head, 2)
    thin = (thick[..., None] + details).reshape(head.shape)
    inside = head[0] > 400
    return np.sqrt(((thin - head)[:, inside] ** 2).mean())


def test_what_is_learned_within_slices_serves_across_them(head):
    thick = thickened(head, 2)
    details = restored(thick)
    assert error(details, head) < 0.8 * error(np.zeros_like(details), head)


def test_the_other_directions_help(head):
    # alone, a direction has one guide: itself
    thick = thickened(head, 2)
    joint = restored(thick)[1]
    alone = restored(thick[:2])[1]
    inside = thick[0] > 400
    fine = head[1].reshape(*thick.shape[1:], 2) - thick[1][..., None]
    assert ((joint - fine)[inside] ** 2).mean() < ((alone - fine)[inside] ** 2).mean()


def test_directions_learn_from_each_other_and_volumes_without_weighting_learn_apart(head):
    thick = thickened(head, 2)[:4]
    few = JointOptions(n_samples=2000, n_random=20)
    level = bright_level(thick)[:, None, None, None]
    # two directions change, and neither their mean, which guides all, nor their bright tissue
    is_dark = (thick[1:3] < 0.6 * level[1:3]).all(axis=0)
    change = np.random.default_rng(0).uniform(-0.2, 0.2, is_dark.shape) * is_dark
    other = thick.copy()
    other[1:3] += (np.array([1.0, -1.0])[:, None, None, None] * change * level[1:3]).astype("f4")
    before, after = restored(thick, few), restored(other, few)
    difference = [np.abs(b - a).max() / s for a, b, s in zip(before, after, level, strict=True)]
    assert difference[0] < 1e-3
    assert difference[3] > 0.01


def test_details_turn_with_the_slice_axis(head):
    thick = thickened(head, 2)
    straight = restored(thick)
    back = restored(thick[..., ::-1].copy())[..., ::-1, ::-1]
    # what is learned is that of the same voxels, drawn in another order
    inside = thick > 400
    assert np.corrcoef(straight[inside].ravel(), back[inside].ravel())[0, 1] > 0.85


def test_the_same_seed_gives_the_same_details_and_another_one_others(head):
    thick = thickened(head, 2)[:3]
    few = JointOptions(n_samples=500, n_random=20)
    first = restored(thick, few)
    assert np.array_equal(first, restored(thick, few))
    assert not np.array_equal(first, restored(thick, JointOptions(500, 20, seed=1)))


def test_details_scale_with_the_intensities(head):
    thick = thickened(head, 2)[:3]
    few = JointOptions(n_samples=500, n_random=20)
    np.testing.assert_allclose(
        restored(10 * thick, few), 10 * restored(thick, few), rtol=0.02, atol=3
    )


def test_slices_are_seen_by_their_profile():
    line = np.arange(12.0, dtype=np.float32).reshape(1, 1, 1, 12)
    assert seen_as_slices(line, BLOCK)[0, 0, 0].tolist() == [0.5, 2.5, 4.5, 6.5, 8.5, 10.5]
    wide = Slicing(2, np.array([0, 0.25, 0.25, 0.25, 0.25, 0]))
    assert seen_as_slices(line, wide)[0, 0, 0, 1:-1].tolist() == [2.5, 4.5, 6.5, 8.5]


def test_the_bright_level_of_an_empty_volume_is_above_zero():
    assert (bright_level(np.zeros((2, 3, 3, 3), np.float32)) > 0).all()
