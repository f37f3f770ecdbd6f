"""Each series is worked on in a process of its own, which may fail in any way."""

import os
from dataclasses import replace
from threading import Event, Timer

import psutil
import pytest

from inversesr.config import Config
from inversesr.node.backoff import BackOff
from inversesr.node.child import Outcome
from inversesr.node.outgoing import pending
from inversesr.node.settings import ListenConfig
from inversesr.node.worker import ROOM, Workshop, work_once
from inversesr.node.works import recover
from tests.support import node_work
from tests.support.queues import arrive, finish, state

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills with a POSIX signal")


@pytest.fixture
def log():
    """Lines of the log."""
    return []


@pytest.fixture
def shop(queue, database, clock, log):
    """A node with one series that is complete."""
    arrive(database)
    (queue / "instances" / "s").mkdir()
    finish(database)
    return Workshop(
        queue, database, ListenConfig(), Config(), BackOff(clock), log.append, node_work.make
    )


def test_a_series_is_worked_on_once(shop, database, queue):
    assert work_once(shop, Event())
    assert state(database)["state"] == "made"
    (one,) = pending(database)
    assert (queue / one.file).read_text() == "s"
    assert not work_once(shop, Event())
    assert state(database)["works"] == 1


def test_a_result_that_a_killed_node_left_is_not_made_again(shop, database, queue):
    generation = state(database)["generation"]
    results = queue / "results" / f"s-{generation}"
    node_work.leave(results, Outcome("made", files=("1.dcm",)))
    assert work_once(replace(shop, main=node_work.die), Event())
    assert state(database)["state"] == "made"


def test_what_is_no_scan_is_told_once(shop, database, log):
    assert work_once(replace(shop, main=node_work.refuse), Event())
    assert state(database)["state"] == "unusable"
    assert log[-1] == "s: not restored: series 4 is a scout"
    assert not work_once(shop, Event())


def test_a_series_that_always_kills_its_worker_is_set_aside_and_named(shop, clock, database, log):
    shop = replace(shop, main=node_work.die)
    for _ in range(shop.node.tries):
        assert work_once(shop, Event())
        assert not work_once(shop, Event())
        clock.now += 600.0
    assert state(database)["state"] == "aside"
    assert log[-1] == (
        "s: set aside after 3 tries: the process was killed, as happens where memory runs out"
    )
    assert not work_once(shop, Event())


@pytest.mark.parametrize(
    ("main", "limits", "told"),
    [
        (node_work.leave_early, {}, "the process was killed"),
        (node_work.sleep, {"limit_minutes": 0.02}, "it took longer than the 0.02 min"),
        (node_work.hoard, {"memory_gib": 0.3}, "it needed more than the 0.3 GiB"),
    ],
)
def test_a_worker_is_ended_at_its_limits(shop, database, main, limits, told):
    shop = replace(shop, main=main, node=ListenConfig(**limits))
    assert work_once(shop, Event())
    assert state(database)["reason"].startswith(told)
    assert state(database)["tries"] == 1


def test_what_a_worker_started_is_ended_with_it(shop, queue):
    assert work_once(
        replace(shop, main=node_work.sleep, node=ListenConfig(limit_minutes=0.05)), Event()
    )
    pid = int((queue / "instances" / "started").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_fault_of_the_machine_is_waited_for_and_no_try(shop, clock, database):
    shop = replace(shop, main=node_work.lack)
    for _ in range(4):
        assert work_once(shop, Event())
        clock.now += 600.0
    assert (state(database)["state"], state(database)["tries"]) == ("ready", 0)


def test_a_disk_without_room_for_a_result_is_waited_for(shop, database, queue, monkeypatch):
    (queue / "instances" / "s" / "1.dcm").write_bytes(bytes(1000))
    usage = os.statvfs(queue)
    free = type("Usage", (), {"free": ROOM * 1000 - 1, "total": usage.f_blocks})
    monkeypatch.setattr("inversesr.node.worker.shutil.disk_usage", lambda _: free)
    assert work_once(replace(shop, main=node_work.die), Event())
    assert (state(database)["state"], state(database)["tries"]) == ("ready", 0)
    assert "the disk has less than" in state(database)["reason"]


def test_a_node_that_stops_puts_its_work_back(shop, database):
    stop = Event()
    Timer(1.0, stop.set).start()
    assert not work_once(replace(shop, main=node_work.sleep), stop)
    assert (state(database)["state"], state(database)["interrupted"]) == ("ready", 0)
    assert recover(database) == []


def test_a_system_that_starts_no_process_is_waited_for(shop, database, monkeypatch):
    def fail(*_):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("inversesr.workflows.executors.alone.prepared_process", fail)
    assert work_once(shop, Event())
    assert (state(database)["state"], state(database)["tries"]) == ("ready", 0)
