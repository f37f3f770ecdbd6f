"""Instances in the queue: what has come, and which series are complete.

A new instance of a series that was thought complete makes it a series that is received again.
"""

import hashlib
import sqlite3
from dataclasses import dataclass
from enum import Enum

from inversesr.node.database import Database

MIXED = "new instances came after its result was stored and {n} others were removed: send it whole"

# Series whose result is stored and whose instances are still here.
KEPT = "state = 'done' AND EXISTS (SELECT 1 FROM instance WHERE series = key)"


@dataclass(frozen=True)
class Arrival:
    """An instance as it came.

    Attributes:
        series: Key of its series.
        uid: SOP Instance UID.
        digest: sha256 of its data set.
        syntax: Transfer syntax UID.
        expected: Number of instances of its series that the header states; 0 for none.
        hinted: Number of images of its acquisition, which often is that of its series; 0 for none.
    """

    series: str
    uid: str
    digest: str
    syntax: str
    expected: int = 0
    hinted: int = 0


class Known(Enum):
    """What the queue knows of an instance."""

    NEW = "new"
    SAME = "the same"
    OTHER = "another content under the same UID"


@dataclass(frozen=True)
class Receiving:
    """A series that is being received.

    Attributes:
        key: Its key.
        n: Instances so far.
        expected: See `Arrival`.
        hinted: See `Arrival`.
    """

    key: str
    n: int
    expected: int
    hinted: int


def known(database: Database, arrival: Arrival) -> Known:
    """Return what the queue knows of an instance.

    The same image in another transfer syntax is the same.
    """
    query = "SELECT digest, syntax FROM instance WHERE series = ? AND uid = ?"
    rows = database.rows(query, (arrival.series, arrival.uid))
    if not rows:
        return Known.NEW
    is_other = rows[0]["syntax"] == arrival.syntax and rows[0]["digest"] != arrival.digest
    return Known.OTHER if is_other else Known.SAME


def add(database: Database, arrival: Arrival) -> None:
    """Note a new instance, whose file is on the disk.

    Raises:
        sqlite3.Error: the disk is full, or cannot be written to.
    """
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO series (key) VALUES (?) ON CONFLICT DO NOTHING", (arrival.series,)
        )
        connection.execute(
            "UPDATE series SET state = 'receiving', reason = '', generation = generation + 1, "
            "expected = MAX(expected, ?), hinted = MAX(hinted, ?) WHERE key = ?",
            (arrival.expected, arrival.hinted, arrival.series),
        )
        connection.execute(
            "INSERT INTO instance (series, uid, digest, syntax) VALUES (?, ?, ?, ?)",
            (arrival.series, arrival.uid, arrival.digest, arrival.syntax),
        )


def receiving(database: Database) -> list[Receiving]:
    """Return the series that are being received."""
    rows = database.rows(
        "SELECT key, expected, hinted, (SELECT COUNT(*) FROM instance WHERE series = key) AS n "
        "FROM series WHERE state = 'receiving'"
    )
    return [Receiving(row["key"], row["n"], row["expected"], row["hinted"]) for row in rows]


def complete(database: Database, series: Receiving) -> str:
    """Note that a series is complete, and return the state that it is in now.

    It is worked on, unless its content is that of a work that is done.

    Args:
        database: The queue's.
        series: The series, as it was when that was decided; one that came on since is left alone.
    """
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT state, removed, done_digest FROM series WHERE key = ?", (series.key,)
        ).fetchone()
        n, digest = _content(connection, series.key)
        if row["state"] != "receiving" or n != series.n:
            return "receiving"
        state, reason = "ready", ""
        if digest == row["done_digest"]:
            state = "done"
        elif n < row["removed"]:
            state, reason = "unusable", MIXED.format(n=row["removed"])
        connection.execute(
            "UPDATE series SET state = ?, reason = ?, digest = ?, tries = 0, interrupted = 0, "
            "kept_s = 0 WHERE key = ?",
            (state, reason, digest, series.key),
        )
    return state


def _content(connection: sqlite3.Connection, key: str) -> tuple[int, str]:
    """Return the number of instances of a series, and a digest of all."""
    rows = connection.execute(
        "SELECT uid, digest FROM instance WHERE series = ? ORDER BY uid", (key,)
    ).fetchall()
    lines = "".join(f"{row['uid']} {row['digest']}\n" for row in rows)
    return len(rows), hashlib.sha256(lines.encode()).hexdigest()


def age(database: Database, seconds: float, keep_s: float) -> list[str]:
    """Let time pass for series whose result is stored; return those kept long enough."""
    with database.transaction() as connection:
        connection.execute(f"UPDATE series SET kept_s = kept_s + ? WHERE {KEPT}", (seconds,))
        rows = connection.execute(
            f"SELECT key FROM series WHERE {KEPT} AND kept_s >= ?", (keep_s,)
        ).fetchall()
    return [row["key"] for row in rows]


def forget(database: Database, key: str) -> bool:
    """Forget the instances of a series whose result is stored; False where it is no such series.

    What is kept is how many there were, and a digest by which the series is known again.
    """
    with database.transaction() as connection:
        changed = connection.execute(
            "UPDATE series SET kept_s = 0, removed = "
            "MAX(removed, (SELECT COUNT(*) FROM instance WHERE series = key)) "
            "WHERE key = ? AND state = 'done'",
            (key,),
        )
        if not changed.rowcount:
            return False
        connection.execute("DELETE FROM instance WHERE series = ?", (key,))
        connection.execute("DELETE FROM outgoing WHERE series = ?", (key,))
    return True
