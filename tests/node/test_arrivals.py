"""Which instances are new, and which series are to be worked on."""

import pytest

from inversesr.node.arrivals import (
    Arrival,
    Known,
    Receiving,
    age,
    complete,
    forget,
    known,
    receiving,
)
from inversesr.node.outgoing import confirmed, pending
from inversesr.node.works import made, take
from tests.support.queues import arrive, finish, state, taken


def carried_out(database, uids="abc"):
    """Bring a series to its end."""
    work = taken(database, uids=uids)
    made(database, work, ["results/1.dcm"])
    (one,) = pending(database)
    assert confirmed(database, one)
    return work


@pytest.mark.parametrize(
    ("uid", "digest", "syntax", "expected"),
    [
        ("d", "digest of d", "1.2", Known.NEW),
        ("a", "digest of a", "1.2", Known.SAME),
        ("a", "another", "1.2", Known.OTHER),
        ("a", "another", "1.2.4", Known.SAME),
    ],
)
def test_an_instance_is_known_by_its_uid_and_content(database, uid, digest, syntax, expected):
    arrive(database)
    assert known(database, Arrival("s", uid, digest, syntax)) is expected
    assert known(database, Arrival("another series", uid, digest, syntax)) is Known.NEW


def test_a_series_that_is_received_tells_its_counts(database):
    arrive(database, uids="ab", expected=24, hinted=12)
    arrive(database, uids="c")
    assert receiving(database) == [Receiving("s", 3, 24, 12)]


def test_a_complete_series_is_ready_and_one_that_grew_since_is_not(database):
    arrive(database)
    (before,) = receiving(database)
    arrive(database, uids="d")
    assert complete(database, before) == "receiving"
    assert finish(database) == "ready"
    assert receiving(database) == []


@pytest.mark.parametrize("when", ["ready", "working", "made", "done"])
def test_a_late_instance_makes_a_series_received_again(database, when):
    arrive(database)
    finish(database)
    work = take(database) if when != "ready" else None
    if when in ("made", "done"):
        made(database, work, ["results/1.dcm"])
    if when == "done":
        confirmed(database, pending(database)[0])
    assert state(database)["state"] == when
    arrive(database, uids="d")
    assert state(database)["state"] == "receiving"
    assert finish(database) == "ready"


def test_what_is_done_and_sent_again_whole_is_not_done_again(database):
    carried_out(database)
    assert forget(database, "s")
    arrive(database)
    assert finish(database) == "done"
    assert take(database) is None
    assert state(database)["works"] == 1


def test_a_late_instance_of_a_removed_series_is_not_worked_on_alone(database):
    carried_out(database)
    forget(database, "s")
    arrive(database, uids="d")
    assert finish(database) == "unusable"
    assert "send it whole" in state(database)["reason"]
    arrive(database, uids="abc")
    assert finish(database) == "ready"


def test_only_what_is_confirmed_is_forgotten(database):
    arrive(database)
    assert not forget(database, "s")
    finish(database)
    assert not forget(database, "s")
    work = take(database)
    assert not forget(database, "s")
    made(database, work, ["results/1.dcm", "results/2.dcm"])
    assert not forget(database, "s")
    first, second = pending(database)
    assert not confirmed(database, first)
    assert not forget(database, "s")
    assert confirmed(database, second)
    assert forget(database, "s")
    assert database.rows("SELECT * FROM instance") == []


def test_time_passes_only_for_what_is_confirmed(database):
    carried_out(database)
    arrive(database, series="other")
    assert age(database, 50.0, 100.0) == []
    assert age(database, 50.0, 100.0) == ["s"]
    forget(database, "s")
    assert age(database, 500.0, 100.0) == []
