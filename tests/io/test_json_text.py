import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inversesr.io.json_text import json_text, parse_json


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


# reading


@settings(max_examples=100, deadline=None)
@given(values(st.floats(allow_nan=False, allow_infinity=False)))
def test_json_is_read_as_it_was_written_without_a_remark(value):
    assert parse_json(json.dumps(value).encode()) == (value, ())
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == (value, ())


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 4, "b": [1, 2],}',
        '{"a": 4, "b": [1, 2,],}',
        '{"a": 4, "b": [1, 2], // by the scanner, "as it said"\n}',
        '{"a": 4, /* "b": 3, */ "b": [1, 2]}',
        "{'a': 4, 'b': [1, 2]}",
    ],
)
def test_small_faults_are_mended_and_told(text):
    value, (remark,) = parse_json(text.encode())
    assert value == {"a": 4, "b": [1, 2]}
    assert "not quite JSON" in remark


@pytest.mark.parametrize("word", ["nan", "NaN", "NAN", "-nan", "inf", "-Infinity", "-inf"])
def test_what_is_no_number_is_null_and_told(word):
    value, remarks = parse_json(f'{{"a": {word}, "b": "{word}"}}'.encode())
    assert value == {"a": None, "b": word}
    assert "read as not stated" in remarks[-1]


@pytest.mark.parametrize("word", ["None", "True", "False"])
def test_words_of_python_are_known(word):
    value, _ = parse_json(f"{{'a': {word}}}".encode())
    assert value == {"a": {"None": None, "True": True, "False": False}[word]}


@pytest.mark.parametrize("text", ['{"a": "1,]", "b": "//", "c": "nan", "d": "it\'s",}'])
def test_nothing_is_mended_inside_texts(text):
    value, _ = parse_json(text.encode())
    assert value == {"a": "1,]", "b": "//", "c": "nan", "d": "it's"}


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "cp437"])
def test_letters_of_another_encoding_are_replaced_and_told(encoding):
    value, (remark,) = parse_json('{"Place": "Köln", "a": 4}'.encode(encoding))
    assert value["a"] == 4
    assert value["Place"].startswith("K")
    assert "not in UTF-8" in remark


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_other_unicode_is_read_as_it_is(encoding):
    assert parse_json('{"Place": "Köln"}'.encode(encoding)) == ({"Place": "Köln"}, ())


@pytest.mark.parametrize("blob", [b"", b"{", b"{a: 4}", b"hello", b"<html></html>", b'{"a": 4'])
def test_what_is_no_json_is_refused(blob):
    with pytest.raises(ValueError, match=r"[Ee]xpecting"):
        parse_json(blob)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text("{}[]\"',:/*#\\nat1 ", max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(blob):
    with suppress(ValueError):
        parse_json(blob)
