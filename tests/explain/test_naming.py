import numpy as np
import pytest

from inversesr.explain.naming import Effect, effects, name_of
from inversesr.explain.numbers import CONTRAST, FLUID, GREY, THICKNESS, UNITS, VENTRICLES

STILL = Effect(0.99, 1.0, 1.01, 1.0, 0.1)
MOVED = Effect(-1.0, 1.0, 3.0, 1.0, 0.95)


def all_still(**changes):
    return dict.fromkeys(UNITS, STILL) | changes


def test_a_direction_that_one_number_follows_bears_its_name():
    name, reason = name_of(all_still() | {THICKNESS: MOVED}, {})
    assert name == "cortical thickness"
    assert "not checked on a label map" in reason


def test_the_ventricles_are_part_of_the_fluid_which_moves_with_them():
    found = all_still() | {VENTRICLES: MOVED, FLUID: Effect(0.0, 1.0, 2.0, 1.0, 0.7)}
    assert name_of(found, {})[0] == "ventricle size"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "none"),
        ({CONTRAST: MOVED, THICKNESS: MOVED}, "a name takes exactly one"),
        ({CONTRAST: MOVED, GREY: Effect(0.0, 1.0, 3.0, 1.0, 0.2)}, "and so do grey-like"),
        ({CONTRAST: MOVED, GREY: Effect(1.0, 1.0, 1.0, 1.0, 0.6)}, "and so do grey-like"),
        ({CONTRAST: Effect(3.0, 1.0, -1.0, 1.0, 0.95)}, "none"),
        ({CONTRAST: Effect(-1.0, 1.0, 3.0, 1.0, 0.5)}, "none"),
    ],
    ids=["nothing", "two", "another by size", "another by samples", "against", "by chance"],
)
def test_a_direction_bears_no_name_otherwise(changes, words):
    name, reason = name_of(all_still() | changes, {})
    assert name == ""
    assert words in reason


def test_a_name_that_a_label_map_does_not_bear_out_is_not_given():
    found = all_still() | {VENTRICLES: MOVED}
    name, reason = name_of(found, {VENTRICLES: 1.2})
    assert name == ""
    assert "1.2 times" in reason
    name, reason = name_of(found, {VENTRICLES: 4.0})
    assert name == "ventricle size"
    assert "; checked on the label map" in reason


def test_effects_are_told_in_deviations_of_the_samples():
    strip = [{"n": 6.0}, {"n": 10.0}, {"n": 14.0}]
    values = np.array([8.0, 10.0, 12.0])
    samples = [{"n": v} for v in values]
    found = effects(strip, samples, [-1.0, 0.0, 1.0])["n"]
    assert found.sd == 2.0
    assert found.size == pytest.approx(1.0)
    assert found.correlation == pytest.approx(1.0)
    assert effects(strip, samples, [1.0, 0.0, -1.0])["n"].correlation == pytest.approx(-1.0)


def test_a_number_that_never_moves_has_no_effect():
    found = effects([{"n": 1.0}] * 3, [{"n": 1.0}] * 3, [-1.0, 0.0, 1.0])["n"]
    assert found.size == 0.0
    assert found.correlation == 0.0
