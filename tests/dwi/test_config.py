import pytest

from inversesr.dwi.config import DwiConfig
from inversesr.errors import InputError


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"spacing_mm": 0.0}, "spacing is 0.0 mm"),
        ({"profile": "flat"}, "profile is flat"),
        ({"noise": -1.0}, "noise is -1.0"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_a_choice_outside_its_range_is_refused(choice, told):
    with pytest.raises(InputError, match=told):
        DwiConfig(**choice)
