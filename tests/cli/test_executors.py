import pytest

from inversesr.cli.executors import conditions_from
from inversesr.errors import InputError


def test_limits_are_given_in_minutes_and_gibibytes():
    conditions = conditions_from(4, 30.0, 1.5, 2, ["partition=long", "exclusive"])
    assert (conditions.n_jobs, conditions.tries) == (4, 2)
    assert conditions.time_limit_s == 1800.0
    assert conditions.memory_limit_bytes == 1.5 * 2**30
    assert conditions.settings == {"partition": "long", "exclusive": ""}


def test_without_limits_there_are_none():
    conditions = conditions_from(1, None, None, 3, None)
    assert conditions.time_limit_s is None
    assert conditions.memory_limit_bytes is None
    assert conditions.settings == {}


@pytest.mark.parametrize("text", ["", "=long", "--partition=long"])
def test_a_setting_without_a_name_is_refused(text):
    with pytest.raises(InputError, match="expected NAME=VALUE"):
        conditions_from(1, None, None, 3, [text])
