"""Results in the queue: what is still to be sent, and what the archive has confirmed."""

from collections.abc import Collection
from dataclasses import dataclass

from inversesr.node.database import Database

MOST_AT_ONCE = 500


@dataclass(frozen=True)
class Outgoing:
    """One file that is to be sent.

    Attributes:
        file: The file, relative to the queue's folder.
        series: Key of the series that it was made from.
    """

    file: str
    series: str


def pending(database: Database, without: Collection[str] = ()) -> list[Outgoing]:
    """Return what is to be sent next, series by series.

    Args:
        database: The queue's.
        without: Keys of series that wait for another try.
    """
    marks = ", ".join("?" * len(without))
    rows = database.rows(
        "SELECT file, series FROM outgoing JOIN series ON key = series WHERE is_sent = 0 "
        f"AND state NOT IN ('aside', 'unusable') AND series NOT IN ({marks}) "
        "ORDER BY series.rowid, file LIMIT ?",
        (*without, MOST_AT_ONCE),
    )
    return [Outgoing(row["file"], row["series"]) for row in rows]


def confirmed(database: Database, one: Outgoing) -> bool:
    """Note that the archive has stored a file; True where that was the last one of a result."""
    with database.transaction() as connection:
        connection.execute("UPDATE outgoing SET is_sent = 1 WHERE file = ?", (one.file,))
        left = connection.execute(
            "SELECT 1 FROM outgoing WHERE series = ? AND is_sent = 0 LIMIT 1", (one.series,)
        ).fetchone()
        if left is not None:
            return False
        changed = connection.execute(
            "UPDATE series SET state = 'done', done_digest = digest, reason = '', kept_s = 0 "
            "WHERE key = ? AND state = 'made'",
            (one.series,),
        )
    return changed.rowcount > 0


def refused(database: Database, one: Outgoing, reason: str, most: int) -> bool:
    """Note that the archive refuses a file; True where its series is set aside now.

    Args:
        database: The queue's.
        one: The file.
        reason: What it answers.
        most: How often it may.
    """
    with database.transaction() as connection:
        connection.execute(
            "UPDATE outgoing SET refusals = refusals + 1 WHERE file = ?", (one.file,)
        )
        connection.execute(
            "UPDATE series SET reason = ? WHERE key = ? AND state = 'made'", (reason, one.series)
        )
        changed = connection.execute(
            "UPDATE series SET state = 'aside' WHERE key = ? AND state = 'made' AND EXISTS "
            "(SELECT 1 FROM outgoing WHERE file = ? AND refusals >= ?)",
            (one.series, one.file, most),
        )
    return changed.rowcount > 0


def lost(database: Database, one: Outgoing) -> None:
    """Note that a result is not on the disk any more: its series is worked on again."""
    with database.transaction() as connection:
        connection.execute("DELETE FROM outgoing WHERE series = ?", (one.series,))
        connection.execute(
            "UPDATE series SET state = 'ready' WHERE key = ? AND state = 'made'", (one.series,)
        )
