from functools import partial

import pytest

from inversesr.workflows.executors import alone
from inversesr.workflows.executors.alone import carry_out, try_once
from inversesr.workflows.executors.protocol import Conditions
from tests.support.executor_laws import work


def test_what_is_not_killed_is_not_tried_again(tmp_path):
    for name, reason in {"unusable": "no scan", "broken": "a fault"}.items():
        failure = carry_out(partial(work, tmp_path), tmp_path / name, Conditions())
        assert reason in failure.sentence
        assert "tries" not in failure.sentence
    assert not (tmp_path / "begun").exists()


def test_a_process_that_is_killed_is_tried_again_as_often_as_was_asked(tmp_path):
    failure = carry_out(partial(work, tmp_path), tmp_path / "poison", Conditions(tries=2))
    assert failure.is_killed
    assert failure.sentence.endswith("set aside after 2 tries")
    assert (tmp_path / "begun").read_text().split() == ["poison", "poison"]


def test_one_try_is_told_as_it_ended(tmp_path):
    failure = try_once(partial(work, tmp_path), tmp_path / "unlucky", Conditions())
    assert failure.is_killed
    assert try_once(partial(work, tmp_path), tmp_path / "unlucky", Conditions()) is None


def test_work_that_is_not_wanted_any_more_is_ended(tmp_path):
    slow = partial(work, tmp_path)
    failure = carry_out(slow, tmp_path / "slow", Conditions(), is_wanted=lambda: False)
    assert failure.sentence == "the work was interrupted"


def test_a_process_that_cannot_be_started_is_a_failure(tmp_path, monkeypatch):
    def refuse(_work):
        raise OSError(11, "no more processes")

    monkeypatch.setattr(alone, "prepared_process", refuse)
    failure = carry_out(partial(work, tmp_path), tmp_path / "first", Conditions())
    assert "no process could be started" in failure.sentence
    assert not failure.is_unusable


@pytest.mark.parametrize("error", [EOFError, BrokenPipeError, ConnectionResetError])
def test_a_killed_server_of_processes_is_a_killed_process(tmp_path, monkeypatch, error):
    def die(_work):
        raise error

    monkeypatch.setattr(alone, "prepared_process", die)
    assert try_once(partial(work, tmp_path), tmp_path / "first", Conditions()).is_killed
