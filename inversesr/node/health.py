"""How a node is: a file that it writes every few seconds, and what `--status` makes of it.

The beat of the file is told by the clock that does not jump; it is that of the whole machine.
"""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inversesr.errors import InputError
from inversesr.node.database import NAME, STATES, Database
from inversesr.node.folder import is_in_use, write_whole
from inversesr.node.settings import ListenConfig

FILE = "health.json"
BEAT_S, LONGEST_S = 5.0, 60.0
# Series that are told with the reason why they have no result, the latest first.
MOST_NAMED = 100


def facts(database: Database, folder: Path) -> dict[str, Any]:
    """Return how many series are in which state, what waits, and what was set aside.

    Args:
        database: The queue's.
        folder: Its folder.
    """
    counted = {row["state"]: row["n"] for row in database.rows(
        "SELECT state, COUNT(*) AS n FROM series GROUP BY state"
    )}  # fmt: skip
    named = database.rows(
        "SELECT key, state, reason FROM series WHERE state IN ('aside', 'unusable') "
        "ORDER BY rowid DESC LIMIT ?",
        (MOST_NAMED,),
    )
    return {
        "series": {state: counted.get(state, 0) for state in STATES},
        "instances": _one(database, "SELECT COUNT(*) FROM instance"),
        "to_send": _one(database, "SELECT COUNT(*) FROM outgoing WHERE is_sent = 0"),
        "set_aside": _named(named, "aside"),
        "not_restored": _named(named, "unusable"),
        "free_bytes": shutil.disk_usage(folder).free,
    }


def _named(rows: list[sqlite3.Row], state: str) -> list[dict[str, str]]:
    return [
        {"series": row["key"], "reason": row["reason"]} for row in rows if row["state"] == state
    ]


def _one(database: Database, query: str) -> int:
    return int(database.rows(query)[0][0])


@dataclass(frozen=True, eq=False)
class Beat:
    """Writes the health file of a node.

    Attributes:
        folder: Folder of the queue.
        database: Its database.
        node: Choices of the node.
        clock: Seconds that do not jump.
    """

    folder: Path
    database: Database
    node: ListenConfig
    clock: Callable[[], float] = time.monotonic

    def write(self) -> None:
        """Write the file.

        Raises:
            OSError: the disk is full, or cannot be written to.
        """
        told = {
            "aet": self.node.aet,
            "port": self.node.port,
            "process": os.getpid(),
            "beat_s": self.clock(),
            "is_receiving": self._has_room(),
            **facts(self.database, self.folder),
        }
        write_whole(self.folder / FILE, (json.dumps(told, indent=2) + "\n").encode())

    def _has_room(self) -> bool:
        free = shutil.disk_usage(self.folder).free
        return free >= self.node.reserve_gib * 2**30


@dataclass(frozen=True)
class Status:
    """How a node is.

    Attributes:
        is_running: Whether a node works with the queue.
        is_well: Whether it runs, goes on, and takes in instances.
        told: What it says of itself, and what its queue holds.
    """

    is_running: bool
    is_well: bool
    told: dict[str, Any]


def read_status(folder: Path, clock: Callable[[], float] = time.monotonic) -> Status:
    """Return how the node of a queue is, whether it runs or not.

    Args:
        folder: Folder of the queue.
        clock: Seconds that do not jump.

    Raises:
        InputError: it is no queue, or cannot be read.
    """
    if not (folder / NAME).is_file():
        message = f"{folder} is no queue of a node: give the --queue of `inversesr listen`"
        raise InputError(message)
    told = _last_word(folder / FILE)
    is_running = is_in_use(folder)
    age_s = clock() - float(told.pop("beat_s", float("-inf")))
    is_fresh = 0.0 <= age_s <= LONGEST_S
    is_well = is_running and is_fresh and bool(told.get("is_receiving"))
    return Status(is_running, is_well, told | _present(folder))


def _last_word(file: Path) -> dict[str, Any]:
    """Return what a node said last of itself; nothing where it was never well for long enough."""
    try:
        told = json.loads(file.read_bytes())
        float(told.get("beat_s", 0.0))
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return dict(told)


def _present(folder: Path) -> dict[str, Any]:
    """Return what a queue holds now, without changing anything."""
    try:
        connection = sqlite3.connect(f"{(folder / NAME).resolve().as_uri()}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        database = Database(connection)
        try:
            return facts(database, folder)
        finally:
            database.close()
    except sqlite3.Error as error:
        message = f"{folder / NAME} cannot be read ({error})"
        raise InputError(message) from error
