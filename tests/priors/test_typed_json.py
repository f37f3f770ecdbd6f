from dataclasses import dataclass
from typing import Any, Literal

import pytest

from inversesr.errors import InputError
from inversesr.priors.typed_json import read_value


@dataclass(frozen=True)
class Inner:
    kind: Literal["a", "b"]
    size: tuple[int, int] = (1, 2)


@dataclass(frozen=True)
class Outer:
    inner: dict[str, Inner]
    rate: float = 1.0
    note: str | None = None


def test_nested_values_become_dataclasses():
    data = {"inner": {"x": {"kind": "a", "size": [3, 4]}}, "rate": 2, "note": None}
    assert read_value(Outer, data, "file") == Outer({"x": Inner("a", (3, 4))}, 2.0, None)


def test_a_whole_number_is_taken_where_a_number_is_expected():
    assert isinstance(read_value(float, 2, "file"), float)


@pytest.mark.parametrize("value", [None, 1, "text", [1], {"a": 1}])
def test_anything_goes_where_anything_is_expected(value):
    assert read_value(Any, value, "file") == value


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        (int, True, "file is True; expected a whole number"),
        (int, 1.0, "file is 1.0; expected a whole number"),
        (float, "1", "file is '1'; expected a number"),
        (bool, 1, "file is 1; expected true or false"),
        (str, 1, "file is 1; expected a text"),
        (tuple[int, int], [1], r"file is \[1\]; expected a list of 2 values"),
        (tuple[float, ...], [1.0, "b"], r"file\[1\] is 'b'; expected a number"),
        (Outer, {"inner": {"x": {"kind": "c"}}}, "file.inner.x.kind is 'c'; expected one of"),
        (Outer, {}, "file lacks the field 'inner'"),
        (Outer, {"inner": {}, "size": 1}, "file has an unknown field 'size'"),
        (Outer, [], r"file is \[\]; expected an object"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(kind, value, sentence):
    with pytest.raises(InputError, match=sentence):
        read_value(kind, value, "file")
