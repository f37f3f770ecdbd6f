"""A transaction is on the disk wholly or not at all, whoever is killed."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from inversesr.errors import InputError, MachineError
from inversesr.node.database import NAME, open_database
from tests.support.queues import arrive

WRITER = """
import sys
from pathlib import Path
from inversesr.node.database import open_database
from inversesr.node.arrivals import Arrival, add
database = open_database(Path(sys.argv[1]))
for n in range(10_000):
    add(database, Arrival("s", str(n), "d", "1.2"))
    print(n, flush=True)
"""


def fail_after(action):
    action()
    raise ZeroDivisionError


def test_every_commit_is_on_the_disk_and_others_may_read(database):
    (mode,) = database.rows("PRAGMA journal_mode")[0]
    (synchronous,) = database.rows("PRAGMA synchronous")[0]
    assert (mode, synchronous) == ("wal", 2)


def test_what_fails_in_the_middle_is_undone(database):
    arrive(database)
    with pytest.raises(ZeroDivisionError), database.transaction() as connection:
        fail_after(lambda: connection.execute("DELETE FROM instance"))
    assert len(database.rows("SELECT * FROM instance")) == 3


def test_a_transaction_within_one_is_a_part_of_it(database):
    with pytest.raises(ZeroDivisionError), database.transaction():
        fail_after(lambda: arrive(database))
    assert not database.rows("SELECT * FROM instance")


def test_threads_wait_for_each_other(database):
    def write(name):
        arrive(database, name, "abcdefgh")

    threads = [threading.Thread(target=write, args=(str(n),)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(database.rows("SELECT * FROM instance")) == 48


@pytest.mark.skipif(os.name != "posix", reason="kills with a POSIX signal")
def test_what_was_noted_survives_a_killed_process(queue):
    command = [sys.executable, "-c", WRITER, str(queue)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        for _ in range(20):
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
    opened = open_database(queue)
    uids = {int(row["uid"]) for row in opened.rows("SELECT uid FROM instance")}
    opened.close()
    assert uids >= set(range(last + 1))


def test_a_damaged_database_is_named_with_what_to_do(queue):
    (queue / NAME).write_bytes(b"something else, for long enough" * 100)
    with pytest.raises(MachineError, match="reads the instances of its queue anew"):
        open_database(queue)


def test_a_database_of_a_later_version_is_refused(queue):
    open_database(queue).close()
    connection = sqlite3.connect(queue / NAME)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(InputError, match="later version"):
        open_database(queue)
