import time
from functools import partial
from multiprocessing import active_children

import pytest

from inversesr.errors import InputError
from inversesr.workflows.executors.local import execute
from inversesr.workflows.executors.protocol import Conditions
from tests.support.executor_laws import check_kills, check_limits, check_tries, work


def test_it_obeys_the_laws_of_executors(tmp_path):
    check_tries(execute, tmp_path)


def test_work_is_done_once_though_its_processes_are_killed_again_and_again(tmp_path):
    check_kills(execute, tmp_path)


def test_work_that_has_begun_ends_with_an_interrupt(tmp_path):
    scans = [tmp_path / "first", tmp_path / "slow"]
    ended, start = execute(partial(work, tmp_path), scans, Conditions(2)), time.monotonic()
    assert next(ended)[0].name == "first"
    with pytest.raises(KeyboardInterrupt):
        ended.throw(KeyboardInterrupt())
    assert time.monotonic() - start < 100.0
    assert not active_children()


def test_scans_have_limits_of_time_and_memory(tmp_path):
    check_limits(execute, tmp_path)


def test_it_has_no_settings(tmp_path):
    with pytest.raises(InputError, match="takes no settings"):
        next(execute(print, [tmp_path], Conditions(settings={"partition": "long"})))


def test_work_that_has_begun_ends_with_the_generator(tmp_path):
    scans = [tmp_path / "first", tmp_path / "slow"]
    ended, start = execute(partial(work, tmp_path), scans, Conditions(2)), time.monotonic()
    next(ended)
    ended.close()
    assert time.monotonic() - start < 100.0
    assert not active_children()
