from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool

import pytest

from inversesr.errors import AccessError, InputError
from inversesr.workflows.executors.protocol import (
    EXECUTORS,
    Conditions,
    executor_of,
    failure_from,
)


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_executor_has_a_module_with_its_function(name):
    assert callable(executor_of(name))


def test_an_unknown_executor_is_refused():
    with pytest.raises(InputError, match="executor is moon; expected local"):
        executor_of("moon")


@pytest.mark.parametrize(
    ("error", "is_unusable"),
    [
        (InputError("no scan"), True),
        (AccessError("not readable"), False),
        (ValueError("a bug"), False),
        (BrokenProcessPool(), False),
    ],
)
def test_an_unusable_scan_is_told_from_failed_work(error, is_unusable):
    future = Future()
    future.set_exception(error)
    found = failure_from(future)
    assert found.is_unusable == is_unusable
    assert found.sentence


def test_work_that_ended_well_is_no_failure():
    future = Future()
    future.set_result(None)
    assert failure_from(future) is None


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"n_jobs": 0}, "jobs is 0; expected at least 1"),
        ({"tries": 0}, "tries is 0; expected at least 1"),
        ({"time_limit_s": 0.0}, "time-limit is 0; expected a number above 0"),
        ({"memory_limit_bytes": float("nan")}, "memory-limit is nan; expected"),
    ],
)
def test_conditions_outside_their_range_are_refused(choices, sentence):
    with pytest.raises(InputError, match=sentence):
        Conditions(**choices)
