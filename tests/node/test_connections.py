"""A connection is closed at its end, and nobody is waited for without a limit."""

import gc
import socket
import time

import pytest

from inversesr.node import connections
from tests.support.nodes import AE, CLOSED, HERE, VERIFICATION, Archive, pynetdicom, wait_for

timer = pynetdicom.timer


def test_sockets_are_closed_whoever_goes_first():
    gc.collect()
    with Archive() as archive:
        for ends in ("release", "abort"):
            ae = AE(ae_title="SCANNER")
            ae.add_requested_context(VERIFICATION)
            association = ae.associate(
                HERE, archive.port, ae_title=archive.title, evt_handlers=CLOSED
            )
            own = association.dul.socket.socket
            getattr(association, ends)()
            assert wait_for(lambda own=own: own.fileno() == -1, 5)


def test_timers_run_on_when_the_clock_is_set(monkeypatch):
    monkeypatch.setattr(timer, "time", timer.time)
    connections.use_steady_clock()
    one = timer.Timer(10.0)
    one.start()
    now = time.time()
    for jump in (1e6, -1e6):
        monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
        assert not one.expired
        assert 0.0 < one.remaining <= 10.0


@pytest.fixture
def event():
    """That a connection was opened, whose other end says nothing."""

    class Transport:
        def __init__(self, own):
            self.socket = own

        def recv(self, n_bytes):
            return bytearray(n_bytes)

    own, other = socket.socketpair()
    message = type(
        "Message", (), {"data_set": type("Stream", (), {"tell": lambda _: so_far[0]})()}
    )
    so_far = [0]
    transport = Transport(own)
    assoc = type("Association", (), {})()
    assoc.dul = type("Dul", (), {"socket": transport})
    assoc.dimse = type("Dimse", (), {"message": message})
    found = type("Event", (), {"assoc": assoc})
    found.so_far = so_far
    yield found
    own.close()
    other.close()


def test_a_silent_connection_is_not_waited_for_without_a_limit(event):
    connections.close_wholly(event)
    assert event.assoc.dul.socket.socket.gettimeout() == connections.SILENCE_S


def test_no_length_beyond_that_of_an_image_is_read(event):
    connections.limit(event)
    transport = event.assoc.dul.socket
    assert len(transport.recv(connections.MOST_PDU_BYTES)) == connections.MOST_PDU_BYTES
    with pytest.raises(OSError, match="more was announced"):
        transport.recv(connections.MOST_PDU_BYTES + 1)
    event.so_far[0] = connections.MOST_INSTANCE_BYTES + 1
    with pytest.raises(OSError, match="more was announced"):
        transport.recv(6)
