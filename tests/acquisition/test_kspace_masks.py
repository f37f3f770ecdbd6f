import numpy as np
import pytest

from inversesr.acquisition.kspace_masks import KINDS, make_mask
from inversesr.errors import InputError


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("acceleration", [2.0, 4.0])
def test_a_mask_takes_as_many_samples_as_asked_for_and_the_middle_wholly(kind, acceleration):
    mask = make_mask(kind, (48, 64), acceleration, 8, seed=1)
    assert mask.size / mask.sum() == pytest.approx(acceleration, rel=0.06)
    assert mask[20:28, 28:36].all()


@pytest.mark.parametrize("kind", ["uniform", "random", "variable"])
def test_lines_are_whole(kind):
    mask = make_mask(kind, (16, 64), 4.0, 8, seed=1)
    assert (mask == mask[:1]).all()


def test_uniform_lines_lie_evenly_apart():
    mask = make_mask("uniform", (2, 128), 4.0, 4, seed=0)[0]
    gaps = np.diff(np.flatnonzero(mask[:60]))
    assert set(gaps) <= {4, 5}


def test_variable_density_falls_towards_the_edge():
    mask = make_mask("variable", (1, 400), 4.0, 4, seed=0)[0]
    assert mask[100:300].sum() > 3 * (mask[:100].sum() + mask[300:].sum())


def test_points_keep_their_distance_which_grows_outwards():
    mask = make_mask("poisson", (64, 64), 6.0, 0, seed=0)
    places = np.argwhere(mask)
    away = np.linalg.norm(places[:, None] - places[None], axis=-1) + 1e3 * np.eye(len(places))
    nearest = away.min(axis=1)
    radii = np.linalg.norm(places - 32, axis=1)
    assert nearest.min() >= 1.0
    assert nearest[radii > 28].mean() > 1.3 * nearest[radii < 12].mean()


def test_a_seed_draws_one_mask():
    first, again, other = (make_mask("random", (4, 64), 4.0, 8, seed) for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_a_middle_that_takes_everything_is_refused():
    with pytest.raises(InputError, match="smaller --calibration"):
        make_mask("random", (4, 64), 8.0, 24, seed=0)
