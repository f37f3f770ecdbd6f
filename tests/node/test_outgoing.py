"""A result is done when the archive has confirmed each of its instances."""

from inversesr.node.arrivals import forget
from inversesr.node.outgoing import confirmed, lost, pending, refused
from inversesr.node.works import made
from tests.support.queues import arrive, state, taken

FILES = ["results/1.dcm", "results/2.dcm"]


def test_what_is_confirmed_is_not_sent_again(database):
    made(database, taken(database), FILES)
    first, second = pending(database)
    assert not confirmed(database, first)
    assert pending(database) == [second]
    assert pending(database, without={"s"}) == []
    assert confirmed(database, second)
    assert state(database)["state"] == "done"
    assert pending(database) == []


def test_a_result_is_sent_to_its_end_even_where_new_instances_came(database):
    made(database, taken(database), FILES)
    arrive(database, uids="d")
    first, second = pending(database)
    assert not confirmed(database, first)
    assert not confirmed(database, second)
    assert state(database)["state"] == "receiving"
    assert not forget(database, "s")


def test_a_result_that_is_refused_too_often_is_set_aside(database):
    made(database, taken(database), FILES)
    one = pending(database)[0]
    assert not refused(database, one, "status 0xC000", 2)
    assert state(database)["state"] == "made"
    assert refused(database, one, "status 0xC000", 2)
    assert state(database)["reason"] == "status 0xC000"
    assert pending(database) == []
    assert not forget(database, "s")


def test_a_result_that_is_gone_is_made_again(database):
    made(database, taken(database), FILES)
    lost(database, pending(database)[0])
    assert pending(database) == []
    assert state(database)["state"] == "ready"
