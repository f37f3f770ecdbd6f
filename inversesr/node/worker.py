"""Has each complete series worked on in a process of its own, within limits of memory and time."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event

from inversesr.config import Config
from inversesr.node.backoff import BackOff
from inversesr.node.child import OUTCOME, Outcome, main, read_outcome
from inversesr.node.database import Database
from inversesr.node.folder import INSTANCES, RESULTS, can_write
from inversesr.node.settings import GIB, ListenConfig
from inversesr.node.works import Work, failed, give_back, made, take, unusable
from inversesr.workflows.executors.alone import try_once
from inversesr.workflows.executors.protocol import Conditions

MINUTE_S = 60.0
NO_PROCESS = "no process could be started"
# Bytes that a work may write for each byte of the series: five times the slices, twice as deep,
# as images, maps and DICOM.
ROOM = 40


@dataclass(frozen=True, eq=False)
class Workshop:
    """What is needed to work on series.

    Attributes:
        folder: Folder of the queue.
        database: Its database.
        node: Choices of the node.
        config: Choices of every run.
        waits: Series that wait for another try.
        tell: Writes a line of the log.
        main: What a process does with a series; see `child.main`.
    """

    folder: Path
    database: Database
    node: ListenConfig
    config: Config
    waits: BackOff
    tell: Callable[[str], None]
    main: Callable[[Path, Path, Config, Path], None] = main


def work_once(shop: Workshop, stop: Event) -> bool:
    """Work on the next series; False where there is none.

    Args:
        shop: What is needed.
        stop: Ends the work when it is set; the series is put back.
    """
    work = take(shop.database, {str(key) for key in shop.waits.waiting()})
    if work is None:
        return False
    results = shop.folder / RESULTS / work.name
    outcome = read_outcome(results)
    # one that is there was left by a node that was killed before it could note it
    if outcome is None or outcome.kind != "made":
        (results / OUTCOME).unlink(missing_ok=True)
        outcome = _lack_of_room(shop.folder, work)
    if outcome is None:
        shop.tell(f"{work.series}: work begins")
        outcome = run_limited(shop, work, stop)
    if outcome is None:
        give_back(shop.database, work)
        return False
    settle(shop, work, outcome)
    return True


def _lack_of_room(folder: Path, work: Work) -> Outcome | None:
    """Return what is to be said where the disk has no room for a work: its result would be cut."""
    files = (folder / INSTANCES / work.series).glob("*")
    needed = ROOM * sum(file.stat().st_size for file in files)
    if shutil.disk_usage(folder).free >= needed:
        return None
    return Outcome("machine", f"the disk has less than {needed / 2**20:.0f} MiB free for its work")


def run_limited(shop: Workshop, work: Work, stop: Event) -> Outcome | None:
    """Run a work in a process within limits; None where the node stopped first."""
    results = shop.folder / RESULTS / work.name
    limits = Conditions(
        time_limit_s=MINUTE_S * shop.node.limit_minutes,
        memory_limit_bytes=GIB * shop.node.memory_gib,
    )
    task = partial(shop.main, shop.folder, results, shop.config)
    instances = shop.folder / INSTANCES / work.series
    failure = try_once(task, instances, limits, lambda: not stop.is_set())
    outcome = read_outcome(results)
    if failure is None and outcome is not None:
        return outcome
    if stop.is_set():
        return None
    if not can_write(results.parent):
        return Outcome("machine", "the disk is full, or cannot be written to")
    if failure is None:
        return Outcome("fault", "its process left no word of what came of it")
    is_of_machine = failure.sentence.startswith(NO_PROCESS)
    return Outcome("machine" if is_of_machine else "fault", failure.sentence)


def settle(shop: Workshop, work: Work, outcome: Outcome) -> None:
    """Note what came of a work."""
    results = shop.folder / RESULTS / work.name
    if outcome.kind == "made":
        files = [str(Path(RESULTS) / work.name / file) for file in outcome.files]
        if made(shop.database, work, files):
            shop.tell(f"{work.series}: restored, {len(files)} instances to send")
        else:
            shop.tell(f"{work.series}: restored, but new instances came: it is done again")
            shutil.rmtree(results, ignore_errors=True)
        shop.waits.succeeded(work.series)
        return
    shutil.rmtree(results, ignore_errors=True)
    if outcome.kind == "unusable":
        unusable(shop.database, work, outcome.reason)
        shop.waits.succeeded(work.series)
        shop.tell(f"{work.series}: not restored: {outcome.reason}")
        return
    wait = shop.waits.failed(work.series)
    if outcome.kind == "machine":
        give_back(shop.database, work, outcome.reason)
        shop.tell(f"{work.series}: {outcome.reason}: tried again in {wait:.0f} s")
        return
    n_failed = failed(shop.database, work, outcome.reason, shop.node.tries)
    if n_failed is None:
        shop.waits.succeeded(work.series)
        shop.tell(f"{work.series}: set aside after {shop.node.tries} tries: {outcome.reason}")
    elif n_failed:
        shop.tell(f"{work.series}: {outcome.reason}: try {n_failed}, again in {wait:.0f} s")
