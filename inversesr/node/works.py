"""Works in the queue: which series is worked on, how often it was tried, and what came of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from inversesr.node.database import Database

# A node that is killed is not the fault of the series; one that ends it again and again may be.
MOST_INTERRUPTED = 20
INTERRUPTED = "the node ended {n} times while it was worked on"


@dataclass(frozen=True)
class Work:
    """A series that is worked on.

    Attributes:
        series: Its key.
        generation: What its instances were then: another number, other instances.
    """

    series: str
    generation: int

    @property
    def name(self) -> str:
        """Name of the folder of its results."""
        return f"{self.series}-{self.generation}"


def recover(database: Database) -> list[str]:
    """Put back what a node that was killed had begun; return the series that are set aside for it.

    A series whose work was interrupted too often may be what ends the node.
    """
    with database.transaction() as connection:
        connection.execute(
            "UPDATE series SET state = 'ready', interrupted = interrupted + 1 "
            "WHERE state = 'working'"
        )
        rows = connection.execute(
            "SELECT key FROM series WHERE state = 'ready' AND interrupted >= ?",
            (MOST_INTERRUPTED,),
        ).fetchall()
        connection.execute(
            "UPDATE series SET state = 'aside', reason = ? "
            "WHERE state = 'ready' AND interrupted >= ?",
            (INTERRUPTED.format(n=MOST_INTERRUPTED), MOST_INTERRUPTED),
        )
    return [row["key"] for row in rows]


def take(database: Database, without: Collection[str] = ()) -> Work | None:
    """Take the next series to work on: those that failed or were interrupted least often first.

    Args:
        database: The queue's.
        without: Keys of series that wait for another try.
    """
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT key, generation FROM series WHERE state = 'ready' "
            "ORDER BY tries + interrupted, rowid"
        ).fetchall()
        row = next((row for row in rows if row["key"] not in without), None)
        if row is None:
            return None
        connection.execute("UPDATE series SET state = 'working' WHERE key = ?", (row["key"],))
    return Work(row["key"], row["generation"])


def give_back(database: Database, work: Work, reason: str = "") -> None:
    """Put a series back that is to be worked on later, through no fault of its own."""
    _settle(database, work, "state = 'ready', reason = ?", (reason,))


def made(database: Database, work: Work, files: Sequence[str]) -> bool:
    """Note the result of a work; False where new instances came in the meantime.

    Args:
        database: The queue's.
        work: The work.
        files: DICOM files of the result, relative to the queue's folder.
    """
    with database.transaction() as connection:
        if not _settle(database, work, "state = 'made', reason = '', works = works + 1"):
            return False
        connection.executemany(
            "INSERT OR IGNORE INTO outgoing (file, series) VALUES (?, ?)",
            [(file, work.series) for file in files],
        )
    return True


def unusable(database: Database, work: Work, reason: str) -> None:
    """Note that a series is none that can be restored."""
    _settle(database, work, "state = 'unusable', reason = ?", (reason,))


def failed(database: Database, work: Work, reason: str, most: int) -> int | None:
    """Note that a work failed; set the series aside where that was once too often.

    Returns:
        How often it failed; None where it is set aside now.
    """
    changes = (
        "tries = tries + 1, reason = ?, "
        "state = CASE WHEN tries + 1 >= ? THEN 'aside' ELSE 'ready' END"
    )
    if not _settle(database, work, changes, (reason, most)):
        return 0
    row = database.rows("SELECT state, tries FROM series WHERE key = ?", (work.series,))[0]
    return None if row["state"] == "aside" else int(row["tries"])


def _settle(database: Database, work: Work, changes: str, values: tuple[object, ...] = ()) -> bool:
    """Change a series that is still the one that was taken."""
    query = f"UPDATE series SET {changes} WHERE key = ? AND generation = ? AND state = 'working'"
    with database.transaction() as connection:
        changed = connection.execute(query, (*values, work.series, work.generation))
    return changed.rowcount > 0


def release(database: Database, wanted: str) -> list[str]:
    """Give series that were set aside another chance; return their keys.

    Args:
        database: The queue's.
        wanted: Beginning of a key, or "all".
    """
    start = "" if wanted == "all" else wanted
    with database.transaction() as connection:
        rows = connection.execute(
            "SELECT key FROM series WHERE state = 'aside' AND substr(key, 1, ?) = ?",
            (len(start), start),
        ).fetchall()
        keys = [row["key"] for row in rows]
        for key in keys:
            # what was made already is sent again, what was not is worked on again
            connection.execute(
                "UPDATE series SET tries = 0, interrupted = 0, reason = '', state = CASE WHEN "
                "EXISTS (SELECT 1 FROM outgoing WHERE series = key AND is_sent = 0) "
                "THEN 'made' ELSE 'ready' END WHERE key = ?",
                (key,),
            )
            connection.execute("UPDATE outgoing SET refusals = 0 WHERE series = ?", (key,))
    return keys
