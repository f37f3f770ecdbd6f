"""The queue's database: SQLite with a write-ahead log, whose every commit is on the disk.

Times are not in it: who waits, waits by a clock that does not jump.

Reference: SQLite, "Write-Ahead Logging" (sqlite.org/wal.html): with synchronous=FULL a commit
survives a loss of power.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inversesr.errors import InputError, MachineError

NAME = "queue.sqlite"
VERSION = 1
# receiving -> ready -> working -> made -> done; or unusable; or aside
STATES = ("receiving", "ready", "working", "made", "done", "unusable", "aside")
SCHEMA = """
CREATE TABLE series (
    key TEXT PRIMARY KEY,
    state TEXT NOT NULL DEFAULT 'receiving',
    generation INTEGER NOT NULL DEFAULT 0,
    expected INTEGER NOT NULL DEFAULT 0,
    hinted INTEGER NOT NULL DEFAULT 0,
    removed INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    interrupted INTEGER NOT NULL DEFAULT 0,
    works INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    digest TEXT NOT NULL DEFAULT '',
    done_digest TEXT NOT NULL DEFAULT '',
    kept_s REAL NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX series_state ON series (state);
CREATE TABLE instance (
    series TEXT NOT NULL,
    uid TEXT NOT NULL,
    digest TEXT NOT NULL,
    syntax TEXT NOT NULL,
    PRIMARY KEY (series, uid)
) STRICT, WITHOUT ROWID;
CREATE TABLE outgoing (
    file TEXT PRIMARY KEY,
    series TEXT NOT NULL,
    is_sent INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX outgoing_series ON outgoing (series, is_sent);
"""


class Database:
    """A connection that threads share; one of them at a time is in a transaction.

    Attributes:
        lock: Held during a transaction; it may be taken before one, and by the same thread again.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.lock = threading.RLock()
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection; what is done with it is committed at the end, or undone.

        Raises:
            sqlite3.Error: the disk is full, or cannot be written to.
        """
        with self.lock:
            if self._connection.in_transaction:
                yield self._connection  # part of the one around it
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # where the commit itself failed there may be nothing left to undo
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query."""
        with self.lock:
            return self._connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the connection."""
        with self.lock:
            self._connection.close()


def open_database(folder: Path) -> Database:
    """Open the database of a queue; made if it is not there.

    Args:
        folder: Folder of the queue.

    Raises:
        InputError: it is of a later version.
        MachineError: it is damaged, or cannot be read or written.
    """
    try:
        connection = _connect(folder / NAME)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN;{SCHEMA}PRAGMA user_version = {VERSION};COMMIT;")
    except sqlite3.Error as error:
        message = (
            f"{folder / NAME} cannot be used ({error}): if the disk is sound, move this file and "
            "those beside it away; the node then reads the instances of its queue anew"
        )
        raise MachineError(message) from error
    if version > VERSION:
        message = f"{folder / NAME} is of a later version of inversesr: use that one"
        raise InputError(message)
    return Database(connection)


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=30)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection
