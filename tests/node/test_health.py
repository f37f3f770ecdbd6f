"""How a node is, told by a file and by the queue, whatever the clock of the day does."""

import json
import shutil

import pytest

from inversesr.errors import InputError
from inversesr.node.folder import sole_user
from inversesr.node.health import FILE, LONGEST_S, Beat, read_status
from inversesr.node.settings import ListenConfig
from inversesr.node.works import failed, unusable
from tests.support.queues import arrive, taken


@pytest.fixture
def beat(queue, database, clock):
    """What writes the health file."""
    return Beat(queue, database, ListenConfig(reserve_gib=0.0), clock)


def test_a_node_that_goes_on_is_well(beat, queue, clock):
    with sole_user(queue):
        beat.write()
        clock.now += LONGEST_S
        assert read_status(queue, clock).is_well
        clock.now += 1.0
        found = read_status(queue, clock)
        assert (found.is_running, found.is_well) == (True, False)


def test_a_node_that_ended_is_not_well(beat, queue, clock):
    beat.write()
    found = read_status(queue, clock)
    assert (found.is_running, found.is_well) == (False, False)


def test_a_node_before_the_last_start_of_the_machine_is_not_well(beat, queue, clock):
    beat.write()
    clock.now = 10.0
    with sole_user(queue):
        assert not read_status(queue, clock).is_well


def test_a_node_without_room_is_not_well(queue, database, clock):
    Beat(queue, database, ListenConfig(reserve_gib=1e9), clock).write()
    with sole_user(queue):
        found = read_status(queue, clock)
    assert (found.is_running, found.is_well) == (True, False)


def test_the_queue_is_told_as_it_is_now(beat, queue, database, clock):
    beat.write()
    arrive(database, "a")
    failed(database, taken(database, "b"), "its process was ended by signal 9", 1)
    told = read_status(queue, clock).told
    assert (told["series"]["receiving"], told["series"]["aside"]) == (1, 1)
    assert told["instances"] == 6
    assert told["set_aside"] == [{"series": "b", "reason": "its process was ended by signal 9"}]
    unusable(database, taken(database, "c"), "it is a scout")
    told = read_status(queue, clock).told
    assert told["not_restored"] == [{"series": "c", "reason": "it is a scout"}]


def test_the_file_is_whole_json_for_others(beat, queue):
    beat.write()
    told = json.loads((queue / FILE).read_text())
    assert told["is_receiving"] is True
    assert told["free_bytes"] == pytest.approx(shutil.disk_usage(queue).free, rel=0.1)
    assert not list(queue.glob(".health*"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"beat_s": "soon"}'])
def test_a_damaged_health_file_is_a_node_that_is_not_well(beat, queue, clock, content):
    beat.write()
    (queue / FILE).write_text(content)
    with sole_user(queue):
        assert not read_status(queue, clock).is_well


def test_what_is_no_queue_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no queue"):
        read_status(tmp_path)
