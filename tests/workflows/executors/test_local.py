import time
from functools import partial
from multiprocessing import active_children

import pytest

from inversesr.workflows.executors import local
from inversesr.workflows.executors.local import execute
from tests.support.executor_laws import check_executor, work


def test_it_obeys_the_laws_of_executors(tmp_path):
    check_executor(execute, tmp_path)


def test_work_that_has_begun_ends_with_an_interrupt(tmp_path):
    scans = [tmp_path / "first", tmp_path / "slow"]
    ended, start = execute(partial(work, tmp_path), scans, 2), time.monotonic()
    assert next(ended)[0].name == "first"
    with pytest.raises(KeyboardInterrupt):
        ended.throw(KeyboardInterrupt())
    assert time.monotonic() - start < 100.0
    assert not active_children()


def test_a_process_that_cannot_be_started_is_a_failure(tmp_path, monkeypatch):
    def refuse():
        raise OSError(11, "no more processes")

    monkeypatch.setattr(local, "new_process", refuse)
    ((scan, failure),) = execute(partial(work, tmp_path), [tmp_path / "first"], 1)
    assert scan == tmp_path / "first"
    assert "no process could be started" in failure.sentence
    assert not failure.is_unusable


def test_work_that_has_begun_ends_with_the_generator(tmp_path):
    scans = [tmp_path / "first", tmp_path / "slow"]
    ended, start = execute(partial(work, tmp_path), scans, 2), time.monotonic()
    next(ended)
    ended.close()
    assert time.monotonic() - start < 100.0
    assert not active_children()
