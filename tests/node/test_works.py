"""Each series is worked on once; what fails is tried again, and set aside in the end."""

from inversesr.node.outgoing import pending, refused
from inversesr.node.works import (
    MOST_INTERRUPTED,
    failed,
    give_back,
    made,
    recover,
    release,
    take,
    unusable,
)
from tests.support.queues import arrive, finish, state, taken


def test_a_series_is_taken_once(database):
    work = taken(database)
    assert work.series == "s"
    assert take(database) is None


def test_what_failed_least_often_comes_first(database):
    for name in ("first", "second"):
        arrive(database, name)
        finish(database, name)
    assert failed(database, take(database), "a fault", 3) == 1
    assert take(database).series == "second"
    assert take(database, without={"first"}) is None
    assert take(database).series == "first"


def test_a_series_is_set_aside_after_so_many_tries_with_its_reason(database):
    arrive(database)
    finish(database)
    told = [failed(database, take(database), f"fault {n}", 3) for n in range(3)]
    assert told == [1, 2, None]
    assert (state(database)["state"], state(database)["reason"]) == ("aside", "fault 2")
    assert take(database) is None


def test_a_fault_of_the_machine_is_no_try(database):
    arrive(database)
    finish(database)
    for _ in range(10):
        give_back(database, take(database), "the disk is full")
    assert (state(database)["state"], state(database)["tries"]) == ("ready", 0)


def test_a_result_of_fewer_instances_is_dropped_when_others_came(database):
    work = taken(database)
    arrive(database, uids="d")
    assert not made(database, work, ["results/1.dcm"])
    unusable(database, work, "it lacks a slice")
    assert failed(database, work, "a fault", 1) == 0
    assert state(database)["state"] == "receiving"
    assert pending(database) == []


def test_a_work_begun_before_others_came_settles_nothing_while_all_are_worked_on(database):
    old = taken(database)
    arrive(database, uids="d")
    finish(database)
    new = take(database)
    assert not made(database, old, ["results/old.dcm"])
    assert failed(database, old, "a fault", 1) == 0
    assert state(database)["state"] == "working"
    assert made(database, new, ["results/new.dcm"])
    assert [one.file for one in pending(database)] == ["results/new.dcm"]


def test_a_node_that_was_killed_goes_on_where_it_was(database):
    taken(database)
    assert recover(database) == []
    assert state(database)["interrupted"] == 1
    assert take(database) is not None


def test_a_series_that_ends_the_node_again_and_again_is_set_aside(database):
    taken(database)
    for _ in range(MOST_INTERRUPTED - 1):
        assert recover(database) == []
        take(database)
    assert recover(database) == ["s"]
    assert "the node ended" in state(database)["reason"]


def test_a_series_is_released_by_the_beginning_of_its_name(database):
    for name in ("abc", "abd", "xyz"):
        arrive(database, name)
        finish(database, name)
        failed(database, take(database), "a fault", 1)
    assert release(database, "q") == []
    assert release(database, "ab") == ["abc", "abd"]
    assert state(database, "abc")["state"] == "ready"
    assert state(database, "abc")["tries"] == 0
    assert release(database, "all") == ["xyz"]


def test_a_refused_result_is_sent_again_when_it_is_released(database):
    made(database, taken(database), ["results/1.dcm"])
    assert refused(database, pending(database)[0], "no", 1)
    assert release(database, "all") == ["s"]
    assert state(database)["state"] == "made"
    assert len(pending(database)) == 1
