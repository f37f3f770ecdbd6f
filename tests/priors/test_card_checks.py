import copy

import pytest

from inversesr.errors import InputError
from inversesr.priors.brain_ldm import BRAIN_LDM
from inversesr.priors.card import parse_card
from inversesr.priors.card_checks import contradiction
from inversesr.priors.nv_generate import nv_generate_card


def changed(path, value):
    data = copy.deepcopy(BRAIN_LDM)
    *parents, last = path.split(".")
    place = data
    for key in parents:
        place = place[key]
    place[last] = value
    return data


def table(sd_edges, detail_edges, n_rows, factor=1.0):
    rows = n_rows * [(len(detail_edges) + 1) * [factor]]
    return {"sd_edges": sd_edges, "detail_edges": detail_edges, "factors": rows}


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("grid.shape", [160, 224, 161], "no multiple of latent.factor"),
        ("grid.axcodes", "LLS", "three different directions"),
        ("grid.origin_mm", None, "needs shape and origin_mm"),
        ("grid.kind", "free", "a free grid has no shape"),
        ("networks.denoiser.arguments.in_channels", 3, "takes 3 channels"),
        ("networks.denoiser.arguments.cross_attention_dim", 8, "cross_attention_dim is 8"),
        ("schedule", None, "a denoiser needs a schedule"),
        ("schedule.prediction", "flow", "belongs to the schedule rectified_flow"),
        ("conditioning.null", [0.0], "one value a variable"),
        ("sd_factor", 0.0, "sd_factor is 0; it must be finite and above 0"),
        ("sd_over_error", 0.0, "sd_over_error is 0; it must be finite and above 0"),
        ("sd_over_error", 1.2, "sd_over_error needs a network error"),
        ("sd_factor", float("nan"), "sd_factor is nan; it must be finite and above 0"),
        ("grid.oriented", True, "grid.oriented is for free grids"),
        ("latent.multiple", 0, "latent.multiple must be above 0"),
        ("networks.denoiser.arguments.num_class_embeds", 8, "needs conditioning.class_label"),
        ("conditioning.class_label", 3, "needs conditioning.class_label, and no other"),
        ("conditioning.null_class", 3, "class 3 is not one of the 0"),
        ("conditioning.spacing_factor", 100.0, "needs conditioning.spacing_factor, no other"),
        ("intervals", table([0.2, 0.1], [], 3), "edges of intervals must rise"),
        ("intervals", table([0.1], [], 3), "not 2 rows of 1 factors"),
        ("intervals", table([0.1], [], 2, 0.0), "must be finite and above 0"),
        ("networks.denoiser.file", "../denoiser.safetensors", "beside prior.json"),
        ("networks.denoiser.file", "denoiser.pt", "beside prior.json"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused_in_one_sentence(path, value, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        parse_card(changed(path, value))
    assert str(caught.value).startswith("prior.json of 'brain-ldm' contradicts itself: ")
    assert "\n" not in str(caught.value)


def test_a_sound_card_has_no_contradiction():
    assert contradiction(parse_card(BRAIN_LDM)) == ""


def test_a_class_that_the_network_does_not_know_is_refused():
    data = nv_generate_card("T1w")
    data["conditioning"]["class_label"] = 128
    with pytest.raises(InputError, match="class 128 is not one of the 128"):
        parse_card(data)


def test_a_default_outside_its_range_is_refused():
    data = copy.deepcopy(BRAIN_LDM)
    data["conditioning"]["variables"][1]["default"] = 20
    with pytest.raises(InputError, match="default of 'age'"):
        parse_card(data)
