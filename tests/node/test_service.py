"""A node from beginning to end, its parts together; processes of their own are for slow tests."""

import sqlite3
import sys
from threading import Event, Thread

import pytest

from inversesr.config import Config
from inversesr.errors import InputError, InverseSRError
from inversesr.node import service
from inversesr.node.completeness import Stillness
from inversesr.node.health import Beat, read_status
from inversesr.node.outgoing import confirmed, pending
from inversesr.node.service import Parts, notice_complete, release_series, remove_kept, serve
from inversesr.node.settings import ListenConfig
from inversesr.node.store import place_of
from inversesr.node.works import failed, made
from tests.support.nodes import Archive, free_port, is_open, send, small_head, wait_for
from tests.support.queues import arrive, state, taken

pytestmark = [
    pytest.mark.usefixtures("sockets"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def choices(**changed):
    given = {"port": free_port(), "allow": ("SCANNER",), "forward": "PACS@127.0.0.1:1",
             "quiet_s": 0.2, "reserve_gib": 0.0}  # fmt: skip
    return ListenConfig(**given | changed)


def test_a_series_that_is_no_scan_goes_through_all_parts(tmp_path):
    log, stop = [], Event()
    with Archive() as archive:
        node = choices(forward=archive.told)
        arguments = (node, Config(), tmp_path / "queue", log.append, stop)
        thread = Thread(target=serve, args=arguments)
        thread.start()
        try:
            assert wait_for(lambda: is_open(node.port))
            assert send(node.port, small_head(description="localizer")) == [0] * 6
            assert wait_for(lambda: any("not restored" in line for line in log), 40), log
            assert read_status(tmp_path / "queue").is_well
            with pytest.raises(InputError, match="in use by another node"):
                serve(choices(), Config(), tmp_path / "queue", log.append, Event())
        finally:
            stop.set()
            thread.join()
        assert not archive.came
    assert "is a scout" in log[-2]
    assert log[-1] == "stopped"


def test_pynetdicom_is_asked_for_in_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pynetdicom", None)
    with pytest.raises(InverseSRError, match=r"pip install 'inversesr\[node\]'"):
        serve(choices(), Config(), tmp_path / "queue", print, Event())
    assert not (tmp_path / "queue").exists()


def test_what_is_complete_is_handed_on_once(database, clock):
    log, stillness = [], Stillness(clock)
    arrive(database)
    notice_complete(database, stillness, 30.0, log.append)
    assert state(database)["state"] == "receiving"
    clock.now += 30.0
    notice_complete(database, stillness, 30.0, log.append)
    notice_complete(database, stillness, 30.0, log.append)
    assert state(database)["state"] == "ready"
    assert log == ["s: complete with 3 instances (nothing more for 30 s)"]


def test_what_is_stored_is_removed_after_its_time_and_not_before(database, queue, clock):
    log = []
    made(database, taken(database), ["results/s-3/1.dcm"])
    for uid in "abc":
        file = place_of(queue, "s", uid)
        file.parent.mkdir(exist_ok=True)
        file.write_text("a file of a patient")
    beat = Beat(queue, database, ListenConfig(keep_hours=1.0), clock)
    remove_kept(beat, 1e9, log.append)
    assert place_of(queue, "s", "a").is_file()
    confirmed(database, pending(database)[0])
    remove_kept(beat, 3599.0, log.append)
    assert place_of(queue, "s", "a").is_file()
    remove_kept(beat, 1.0, log.append)
    assert not list((queue / "instances").iterdir())
    assert log == ["s: removed, its result is stored"]


def test_a_disk_that_is_full_for_a_while_is_waited_for(monkeypatch):
    monkeypatch.setattr(service, "AFTER_FAULT_S", 0.0)
    log, stop = [], Event()
    answers = iter([sqlite3.OperationalError("database or disk is full"), OSError(28, "full")])

    def step():
        error = next(answers, None)
        if error is not None:
            raise error
        stop.set()
        return True

    parts = Parts(stop, log.append)
    parts.start("a part", step)
    parts.wait()
    assert not parts.faults
    assert [line.count("tried again") for line in log] == [1, 1]


def test_a_part_that_ends_by_a_fault_ends_the_node(queue, database, monkeypatch):
    stop = Event()
    parts = Parts(stop, print)
    parts.start("a part", lambda: 1 // 0)
    parts.wait()
    monkeypatch.setattr(service, "STEP_S", 0.0)
    with pytest.raises(RuntimeError, match="ended by a fault"):
        service._watch(parts, Beat(queue, database, ListenConfig()), Stillness())


@pytest.mark.slow
def test_a_choice_that_no_solver_heeds_ends_the_node_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="draws none"):
        serve(choices(), Config(solver="spline", samples=3), tmp_path / "q", print, Event())


def test_what_was_set_aside_is_released_while_no_node_runs(queue, database):
    failed(database, taken(database, "abc"), "a fault", 1)
    with pytest.raises(InputError, match="no series that was set aside begins with x"):
        release_series(queue, "x")
    assert release_series(queue, "ab") == ["abc"]
    assert state(database, "abc")["state"] == "ready"
