import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors.card import ConditioningCard, VariableCard, parse_card
from inversesr.priors.denoiser_inputs import (
    Known,
    denoiser_inputs,
    read_conditions,
    scaled_variables,
    unconditional,
)
from tests.support.problems import tiny_card
from tests.support.published import small_nv

AGE = VariableCard("age", 20.0, 80.0, 50.0)
KNOWN = Known(torch.tensor([0.25]), 9, (0.8, 1.0, 1.5))
Z = torch.zeros(4, 2, 2, 2)


def test_class_and_voxel_size_are_told_where_the_network_takes_them():
    given = ConditioningCard(class_label=9, spacing_factor=100.0)
    seen, arguments = denoiser_inputs(given, Z, 7, KNOWN, torch.float32)
    assert seen.shape == (1, 4, 2, 2, 2)
    assert arguments["class_labels"].tolist() == [9]
    assert arguments["spacing_tensor"].tolist() == [[80.0, 100.0, 150.0]]
    assert arguments["timesteps"].tolist() == [7]
    assert "context" not in arguments


def test_variables_enter_as_maps_and_as_context():
    given = ConditioningCard((AGE,), concatenated=True, cross_attention=True)
    known = Known(torch.tensor([0.25]), None, (1.0, 1.0, 1.0))
    seen, arguments = denoiser_inputs(given, Z, 7, known, torch.bfloat16)
    assert seen.dtype == torch.bfloat16
    assert (seen[0, 4] == 0.25).all()
    assert arguments["context"].tolist() == [[[0.25]]]
    assert set(arguments) == {"timesteps", "context"}


def test_variables_are_scaled_and_those_that_do_not_fit_refused():
    card = tiny_card()
    found = scaled_variables(card, {"age": 82.0}, torch.device("cpu"))
    assert found.tolist() == [0.5, 1.0, 0.5, 0.5]
    with pytest.raises(InputError, match="age is 90"):
        scaled_variables(card, {"age": 90.0}, torch.device("cpu"))
    with pytest.raises(InputError, match="has no variable 'weight'"):
        scaled_variables(card, {"weight": 1.0}, torch.device("cpu"))


def test_nothing_known_is_what_the_network_saw_then_or_a_refusal():
    context = torch.tensor([0.5, 0.5])
    assert unconditional(parse_card(small_nv()), context, 2.0) == (context, 0)
    with pytest.raises(InputError, match="not trained for guidance; expected 1, found 2"):
        unconditional(tiny_card(), context, 2.0)


def test_what_is_said_of_a_subject_is_read_by_name():
    assert read_conditions(["age=63", "sex=1"]) == {"age": 63.0, "sex": 1.0}
    assert read_conditions([]) == {}


@pytest.mark.parametrize(
    "said", [("age",), ("age=",), ("age=old",), ("age=nan",), ("age=1", "age=2")]
)
def test_what_cannot_be_read_is_refused_in_a_sentence(said):
    with pytest.raises(InputError, match="expected NAME=NUMBER, each name once"):
        read_conditions(said)
