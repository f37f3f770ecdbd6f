"""Results are sent until the archive has confirmed each instance, however long that takes."""

from threading import Event

import pydicom
import pytest

from inversesr.node.backoff import BackOff
from inversesr.node.outgoing import pending
from inversesr.node.peers import read_destination
from inversesr.node.sender import Dispatch, send_once
from inversesr.node.settings import ListenConfig
from inversesr.node.works import made
from tests.support.nodes import Archive, small_head
from tests.support.queues import state, taken

pytestmark = [
    pytest.mark.usefixtures("sockets"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def log():
    """Lines of the log."""
    return []


@pytest.fixture
def archive():
    """An archive on this machine."""
    with Archive() as one:
        yield one


@pytest.fixture
def dispatch(queue, database, archive, clock, log):
    """A result of three instances, on its way to the archive."""
    work = taken(database)
    folder = queue / "results" / work.name
    folder.mkdir()
    for n, one in enumerate(small_head(3)):
        pydicom.dcmwrite(folder / f"{n}.dcm", one, enforce_file_format=True)
    made(database, work, [f"results/{work.name}/{n}.dcm" for n in range(3)])
    node = ListenConfig(forward=archive.told)
    to = read_destination(archive.told)
    return Dispatch(queue, database, node, to, None, BackOff(clock), log.append)


def test_a_result_is_sent_and_done(dispatch, archive, database, log):
    assert send_once(dispatch, Event())
    assert list(archive.came.values()) == [1, 1, 1]
    assert archive.callers == {"INVERSESR"}
    assert state(database)["state"] == "done"
    assert log == ["s: done, its result is stored by PACS"]
    assert not send_once(dispatch, Event())


def test_an_archive_that_is_down_is_waited_for_longer_each_time(dispatch, archive, clock, log):
    archive.stop()
    for _ in range(3):
        assert not send_once(dispatch, Event())
        assert not send_once(dispatch, Event())
        clock.now += 600.0
    assert [line.rpartition(" in ")[2] for line in log] == ["1 s", "2 s", "4 s"]
    archive.start()
    assert send_once(dispatch, Event())
    assert len(archive.came) == 3


def test_an_archive_without_room_is_waited_for_and_never_given_up(dispatch, archive, clock):
    archive.status = 0xA700
    for _ in range(10):
        assert not send_once(dispatch, Event())
        clock.now += 600.0
    assert state(dispatch.database)["state"] == "made"
    archive.status = 0x0000
    assert send_once(dispatch, Event())


def test_a_warning_is_stored(dispatch, archive, database):
    archive.status = 0xB000
    assert send_once(dispatch, Event())
    assert state(database)["state"] == "done"


def test_a_result_that_is_refused_again_and_again_is_set_aside(dispatch, archive, clock, log):
    archive.status = 0xC123
    for _ in range(dispatch.node.tries):
        assert not send_once(dispatch, Event())
        clock.now += 600.0
    assert state(dispatch.database)["state"] == "aside"
    assert "PACS refuses the result: it answers with status 0xC123" in log[-1]
    assert not send_once(dispatch, Event())


def test_only_what_was_not_confirmed_is_sent_again(dispatch, archive, clock):
    answers = iter([0x0000, 0xA700])
    own, archive.status = archive._store, 0x0000

    def store(event):
        archive.status = next(answers, 0x0000)
        return own(event)

    archive.stop()
    archive._store = store
    archive.start()
    assert not send_once(dispatch, Event())
    assert len(pending(dispatch.database)) == 2
    clock.now += 600.0
    assert send_once(dispatch, Event())
    assert list(archive.came.values()) == [1, 1, 1]


def test_another_archive_under_that_address_gets_nothing(dispatch, archive):
    archive.stop()
    with Archive(archive.port, title="OTHER") as other:
        assert not send_once(dispatch, Event())
        assert not other.came


def test_a_node_that_stops_sends_no_more(dispatch, archive):
    stop = Event()
    stop.set()
    assert not send_once(dispatch, stop)
    assert not archive.came


def test_a_result_that_is_gone_is_made_again(dispatch, queue, database, log):
    (file,) = queue.glob("results/*/1.dcm")
    file.unlink()
    assert not send_once(dispatch, Event())
    assert state(database)["state"] == "ready"
    assert not list((queue / "results").iterdir())
    assert "made again" in log[-1]
