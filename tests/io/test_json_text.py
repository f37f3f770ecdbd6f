import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inversesr.io.json_text import json_text


def values(floats):
    leaves = st.none() | st.booleans() | st.integers() | floats | st.text(max_size=5)
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=8,
    )


def read_strictly(text):
    """Read JSON, and refuse the words of Python that are none."""

    def refuse(word):
        raise AssertionError(word)

    return json.loads(text, parse_constant=refuse)


@settings(max_examples=100, deadline=None)
@given(values(st.floats(allow_nan=False, allow_infinity=False)))
def test_what_json_knows_comes_back_unchanged(value):
    assert read_strictly(json_text(value)) == value


@settings(max_examples=100, deadline=None)
@given(values(st.floats()))
def test_whatever_the_numbers_others_can_read_it(value):
    once = read_strictly(json_text(value))
    assert read_strictly(json_text(once)) == once


@given(values(st.floats()))
@settings(max_examples=50, deadline=None)
def test_an_indent_changes_nothing_but_space(value):
    assert read_strictly(json_text(value, indent=2)) == read_strictly(json_text(value))
    assert "\n" not in json_text(value)
    assert json_text([value], indent=2).startswith("[\n  ")


def test_what_json_does_not_know_is_null():
    text = json_text({"a": float("inf"), "b": [1.5, float("nan")], "c": (True, -float("inf"))})
    assert json.loads(text) == {"a": None, "b": [1.5, None], "c": [True, None]}


def test_the_value_itself_keeps_its_infinities():
    value = {"a": [float("inf")]}
    json_text(value)
    assert value == {"a": [float("inf")]}


def test_what_is_no_plain_data_is_a_bug():
    with pytest.raises(TypeError, match="set is not JSON serializable"):
        json_text({"a": {1, 2}})
