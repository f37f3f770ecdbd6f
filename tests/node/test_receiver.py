"""Who is on the list may store MR images; nobody else gets in, and nothing brings it down."""

import socket
import struct
import threading

import pytest

from inversesr.node import connections, receiver
from inversesr.node.completeness import Stillness
from inversesr.node.database import open_database
from inversesr.node.folder import prepare_folder
from inversesr.node.peers import read_caller
from inversesr.node.receiver import Reception, shown, start_server, take_in
from inversesr.node.settings import ListenConfig
from tests.node.test_store import files
from tests.support.nodes import (
    AE,
    CLOSED,
    HERE,
    VERIFICATION,
    free_port,
    send,
    small_head,
    wait_for,
)

pytestmark = [
    pytest.mark.usefixtures("sockets"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


LOG = []


@pytest.fixture(scope="module")
def reception(tmp_path_factory):
    """What takes in instances of two callers."""
    queue = tmp_path_factory.mktemp("queue")
    prepare_folder(queue)
    opened = open_database(queue)
    callers = (read_caller("SCANNER"), read_caller("ELSEWHERE@10.0.0.0/8"))
    yield Reception(queue, opened, callers, "INVERSESR", 0.0, Stillness(), LOG.append)
    opened.close()


@pytest.fixture(scope="module")
def port(reception):
    """The port of a server, which ends only at the end: that takes half a second."""
    port = free_port()
    server = start_server(ListenConfig(port=port), reception, None)
    yield port
    server.shutdown()


@pytest.fixture
def database(reception):
    """The database of its queue, empty."""
    for table in ("series", "instance"):
        with reception.database.transaction() as connection:
            connection.execute(f"DELETE FROM {table}")
    return reception.database


@pytest.fixture
def log():
    """Lines of its log."""
    LOG.clear()
    return LOG


def n_stored(database):
    return len(database.rows("SELECT * FROM instance"))


def test_instances_are_taken_in_and_confirmed(port, database, reception):
    assert send(port, small_head()) == [0] * 6
    assert n_stored(database) == 6
    key = database.rows("SELECT key FROM series")[0]["key"]
    assert reception.stillness.seconds(key) < 20


def test_several_associations_at_once_are_taken_in(port, database):
    heads = [small_head(series=str(n)) for n in range(4)]
    told = []
    threads = [threading.Thread(target=lambda h=h: told.append(send(port, h))) for h in heads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [[0] * 6] * 4
    assert n_stored(database) == 24


@pytest.mark.parametrize(
    "how", [{"title": "NOBODY"}, {"title": "scanner"}, {"title": "ELSEWHERE"}, {"called": "OTHER"}]
)
def test_nobody_else_is_let_in(port, database, log, how):
    assert send(port, small_head(2), **how) is None
    assert n_stored(database) == 0
    assert log[0].startswith(f"rejected {how.get('title', 'SCANNER')} at 127.0.0.1: ")


def test_an_echo_is_answered_and_other_images_are_not_taken(port):
    ae = AE(ae_title="SCANNER")
    ae.add_requested_context(VERIFICATION)
    ae.add_requested_context(CT_IMAGE)
    association = ae.associate(HERE, port, ae_title="INVERSESR", evt_handlers=CLOSED)
    assert association.send_c_echo().Status == 0
    assert [cx.abstract_syntax for cx in association.rejected_contexts] == [CT_IMAGE]
    association.release()


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\x00\xff\xff\xff\xff" + bytes(1000),
        b"\x01\x00\x00\x00\x00\x08" + bytes(8),
        b"\x04\x00\x00\x00\x00\x08" + bytes(8),
        struct.pack(">BBL", 1, 0, 74) + b"\x00\x01\0\0" + b"INVERSESR".ljust(16) + bytes(54),
        bytes(range(256)) * 20,
        b"",
    ],
)
def test_garbage_ends_only_its_own_connection(port, database, sent):
    with socket.create_connection((HERE, port), 5) as one:
        one.settimeout(10)
        one.sendall(sent)
        if sent:
            while one.recv(4096):
                pass
        assert send(port, small_head(2)) == [0, 0]
    assert n_stored(database) == 2


def test_more_connections_than_anybody_needs_are_closed(reception, database, monkeypatch, log):
    monkeypatch.setattr(receiver, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(receiver, "REQUEST_S", 1.0)
    port = free_port()
    server = start_server(ListenConfig(port=port), reception, None)
    try:
        opened = [socket.create_connection((HERE, port), 5) for _ in range(5)]
        assert wait_for(lambda: any("too many" in line for line in log), 10)
        # who asks for nothing is not waited for
        assert wait_for(lambda: send(port, small_head(1)) == [0], 10)
        for one in opened:
            one.close()
    finally:
        server.shutdown()
    assert n_stored(database) == 1


def test_an_image_larger_than_any_is_not_taken_in(port, database, monkeypatch):
    monkeypatch.setattr(connections, "MOST_INSTANCE_BYTES", 100_000)
    (large,) = small_head(1)
    large.Rows = large.Columns = 1000
    large.PixelData = bytes(2_000_000)
    ae = AE(ae_title="SCANNER")
    ae.add_requested_context(large.SOPClassUID, large.file_meta.TransferSyntaxUID)
    association = ae.associate(HERE, port, ae_title="INVERSESR", evt_handlers=CLOSED)
    assert association.send_c_store(large).get("Status") is None
    assert n_stored(database) == 0
    assert send(port, small_head(1)) == [0]


def test_a_disk_that_is_nearly_full_is_told_before_it_is(reception, database, log):
    full = Reception(**{**vars(reception), "reserve_bytes": 1e18})
    assert take_in(full, *files()[0]) == 0xA700
    assert n_stored(database) == 0
    assert log == ["refused an instance: the disk is nearly full"]


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        (lambda _, uid: (bytes(500), uid), 0xC000),
        (lambda content, uid: (content, uid + ".1"), 0xA900),
    ],
)
def test_what_is_wrong_is_refused_with_its_status(reception, database, spoil, status):
    assert take_in(reception, *spoil(*files()[0])) == status
    assert n_stored(database) == 0


@pytest.mark.usefixtures("database")
def test_another_content_under_a_uid_is_refused(reception):
    content, uid = files()[0]
    assert take_in(reception, content, uid) == 0
    assert take_in(reception, content, uid) == 0
    assert take_in(reception, content[:-1] + bytes([content[-1] ^ 1]), uid) == 0x0111


def test_a_disk_that_fails_is_no_confirmation(reception, database, log):
    incoming = reception.folder / "incoming"
    incoming.rename(reception.folder / "elsewhere")
    try:
        assert take_in(reception, *files()[0]) == 0xA700
    finally:
        (reception.folder / "elsewhere").rename(incoming)
    assert "could not be stored" in log[0]
    assert n_stored(database) == 0


def test_who_calls_from_elsewhere_is_not_even_read(reception, database):
    callers = (read_caller("SCANNER@10.0.0.0/8"),)
    port, told = free_port(), []
    strict = Reception(**{**vars(reception), "callers": callers, "tell": told.append})
    server = start_server(ListenConfig(port=port), strict, None)
    try:
        assert send(port, small_head(1)) is None
    finally:
        server.shutdown()
    assert told == ["closed a connection from 127.0.0.1: no caller of the list is there"]
    assert n_stored(database) == 0


def test_a_taken_port_is_told_in_a_sentence(port, reception):
    with pytest.raises(receiver.MachineError, match="another --port"):
        start_server(ListenConfig(port=port), reception, None)


def test_a_title_is_printed_whatever_was_sent():
    assert shown("A\x1b[31m\nB\u202e") == "A[31mB"
    assert shown("\0\0") == "an empty title"
