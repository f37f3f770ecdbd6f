"""What is confirmed is on the disk, noted, and under a name that tells nobody."""

import sqlite3
from io import BytesIO

import pydicom
import pytest

from inversesr.node.arrivals import Known, forget
from inversesr.node.database import open_database
from inversesr.node.folder import INCOMING, INSTANCES
from inversesr.node.outgoing import confirmed, pending
from inversesr.node.store import (
    MismatchError,
    UnreadableError,
    adopt,
    key_of,
    place_of,
    remove,
    store,
)
from inversesr.node.works import made, take
from tests.support.dicom import PATIENT, affine_of, slices, stack
from tests.support.queues import finish, state


def files(n=3, **facts):
    """Return instances as (content of a file, UID)."""
    found = []
    for one in slices(stack((4, 4, n)), affine_of(), **facts):
        stream = BytesIO()
        pydicom.dcmwrite(stream, one, enforce_file_format=True)
        found.append((stream.getvalue(), str(one.SOPInstanceUID)))
    return found


def names(folder, part):
    return sorted(path for path in (folder / part).rglob("*") if path.is_file())


def test_an_instance_is_stored_as_it_came_and_noted(queue, database):
    (content, uid), *_ = files()
    stored = store(queue, database, content, uid)
    assert stored.known is Known.NEW
    assert place_of(queue, stored.series, uid).read_bytes() == content
    assert [row["uid"] for row in database.rows("SELECT uid FROM instance")] == [uid]
    assert not names(queue, INCOMING)


def test_names_of_files_tell_nobody(queue, database):
    content, uid = files()[0]
    store(queue, database, content, uid)
    told = " ".join(str(path.relative_to(queue)) for path in queue.rglob("*"))
    assert uid not in told
    assert not [word for word in (*PATIENT.split("^"), "4711", "1923") if word in told]


def test_an_instance_that_comes_twice_is_stored_once(queue, database):
    content, uid = files()[0]
    store(queue, database, content, uid)
    assert store(queue, database, content, uid).known is Known.SAME
    assert len(names(queue, INSTANCES)) == 1


def test_another_content_under_the_same_uid_replaces_nothing(queue, database):
    content, uid = files()[0]
    series = store(queue, database, content, uid).series
    changed = content[:-1] + bytes([content[-1] ^ 1])
    assert store(queue, database, changed, uid).known is Known.OTHER
    assert place_of(queue, series, uid).read_bytes() == content


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda _: b"", UnreadableError),
        (lambda _: bytes(1000), UnreadableError),
        (lambda content: content[:132] + b"\xff" * 500, UnreadableError),
        (lambda content: content.replace(b"\x20\x00\x0e\x00UI", b"\x20\x00\x0f\x00UI"),
         UnreadableError),
    ],
)  # fmt: skip
def test_what_is_no_instance_is_not_stored(queue, database, spoil, error):
    content, uid = files()[0]
    with pytest.raises(error):
        store(queue, database, spoil(content), uid)
    assert not names(queue, INSTANCES)
    assert not names(queue, INCOMING)
    assert not database.rows("SELECT * FROM series")


def test_an_instance_under_the_name_of_another_is_not_stored(queue, database):
    (content, _), (_, other), _ = files()
    with pytest.raises(MismatchError):
        store(queue, database, content, other)
    assert not names(queue, INSTANCES)


def test_what_cannot_be_noted_is_not_kept(queue, database, monkeypatch):
    def fail(*_):
        raise sqlite3.OperationalError("database or disk is full")  # noqa: EM101

    content, uid = files()[0]
    monkeypatch.setattr("inversesr.node.store.add", fail)
    with pytest.raises(sqlite3.OperationalError):
        store(queue, database, content, uid)
    assert not names(queue, INSTANCES)


def test_series_of_different_patients_are_different_ones():
    assert key_of("1.2", "1.3", "a") != key_of("1.2", "1.3", "b")
    assert key_of("1.2", "1.3", "a") != key_of("1.23", "1.", "a")


def test_a_lost_database_is_made_anew_from_the_files(queue, database):
    for content, uid in files():
        series = store(queue, database, content, uid).series
    database.close()
    for file in queue.glob("queue.sqlite*"):
        file.unlink()
    (queue / INCOMING / "half").write_bytes(b"half")
    opened = open_database(queue)
    assert adopt(queue, opened) == 3
    assert adopt(queue, opened) == 0
    assert state(opened, series)["state"] == "receiving"
    assert not names(queue, INCOMING)
    assert store(queue, opened, *files()[0]).known is Known.SAME
    opened.close()


def test_the_digest_of_an_adopted_file_is_that_of_what_came(queue, database):
    content, uid = files()[0]
    store(queue, database, content, uid)
    first = database.rows("SELECT digest FROM instance")[0]["digest"]
    # another program wrote the group that tells of the file
    again = content.replace(b"PYDICOM", b"ANOTHER")
    assert store(queue, database, again, uid).known is Known.SAME
    assert len(first) == 64


def test_files_are_removed_only_when_the_result_is_stored(queue, database):
    for content, uid in files():
        series = store(queue, database, content, uid).series
    assert not remove(queue, database, series)
    finish(database, series)
    made(database, take(database), ["results/1.dcm"])
    assert not remove(queue, database, series)
    assert len(names(queue, INSTANCES)) == 3
    confirmed(database, pending(database)[0])
    assert remove(queue, database, series)
    assert not names(queue, INSTANCES)
    assert not forget(database, "another")
