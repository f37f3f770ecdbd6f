import copy
import json

import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.priors.brain_ldm import BRAIN_LDM
from inversesr.priors.card import dump_card, grid_of, parse_card


def changed(path, value):
    data = copy.deepcopy(BRAIN_LDM)
    *parents, last = path.split(".")
    place = data
    for key in parents:
        place = place[key]
    place[last] = value
    return data


def test_writing_and_reading_a_card_changes_nothing():
    card = parse_card(BRAIN_LDM)
    assert parse_card(json.loads(dump_card(card))) == card


def test_the_brain_ldm_grid_has_its_shape_spacing_and_directions():
    grid = grid_of(parse_card(BRAIN_LDM))
    assert grid.shape == (160, 224, 160)
    assert grid.spacing_mm == (1.0, 1.0, 1.0)
    assert grid.axcodes == "LAS"
    centre = grid.affine @ np.array([79.5, 111.5, 79.5, 1.0])
    assert abs(centre[0]) < 1e-9  # the head's midplane is the middle of the grid


def test_a_free_grid_takes_any_multiple_and_refuses_the_rest():
    free = {"kind": "free", "spacing_mm": [1.0, 1.0, 1.0], "multiple": 8}
    card = parse_card(changed("grid", free))
    assert grid_of(card, (16, 24, 8)).shape == (16, 24, 8)
    with pytest.raises(InputError, match="multiples of 8"):
        grid_of(card, (16, 24, 9))
    with pytest.raises(InputError, match="multiples of 8"):
        grid_of(card)


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("latent.channels", "three", "latent.channels is 'three'; expected a whole number"),
        ("latent.channels", True, "expected a whole number"),
        ("latent.scale", None, "expected a number"),
        ("latent.colour", 1, "unknown field 'colour'"),
        ("skull", "gone", "expected one of 'present', 'stripped'"),
        ("grid.shape", [160, 224], "a list of 3 values"),
        ("format", 2, "expected 1: update inversesr"),
        ("files", {"a": {"size": 1.5, "sha256": ""}}, r"prior.json.files.a.size is 1.5"),
    ],
)
def test_a_card_that_is_wrong_is_refused_in_one_sentence(path, value, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        parse_card(changed(path, value))
    assert "\n" not in str(caught.value)


def test_a_missing_field_is_named():
    data = copy.deepcopy(BRAIN_LDM)
    del data["licence"]
    with pytest.raises(InputError, match="lacks the field 'licence'"):
        parse_card(data)


def test_a_card_that_is_not_an_object_is_refused():
    with pytest.raises(InputError, match="expected an object"):
        parse_card([1, 2])
