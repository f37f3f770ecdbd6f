"""Has each complete series worked on in a process of its own, within limits of memory and time."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event

import psutil

from inversesr.config import Config
from inversesr.node.backoff import BackOff
from inversesr.node.child import OUTCOME, Outcome, main, read_outcome
from inversesr.node.database import Database
from inversesr.node.folder import INSTANCES, RESULTS, can_write
from inversesr.node.settings import GIB, ListenConfig
from inversesr.node.works import Work, failed, give_back, made, take, unusable

LOOK_S, SECONDS_TO_END = 0.2, 5.0
MINUTE_S = 60.0
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
        main: What a process does; see `child.main`.
    """

    folder: Path
    database: Database
    node: ListenConfig
    config: Config
    waits: BackOff
    tell: Callable[[str], None]
    main: Callable[[Path, Path, Path, Config], None] = main


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
    arguments = (shop.folder, shop.folder / INSTANCES / work.series, results, shop.config)
    process = get_context("spawn").Process(target=shop.main, args=arguments)
    try:
        process.start()
    except OSError as error:
        return Outcome("machine", f"no process could be started: {error.strerror}")
    try:
        reason = _watch(process, shop.node, stop)
    finally:
        end(process)
    if stop.is_set() and read_outcome(results) is None:
        return None
    if reason:
        return Outcome("fault", reason)
    return read_outcome(results) or _unnatural_end(process, results)


def _watch(process: BaseProcess, node: ListenConfig, stop: Event) -> str:
    """Wait for a process; return which limit it went beyond, if any."""
    begin, most_bytes = time.monotonic(), node.memory_gib * GIB
    while process.is_alive() and not stop.is_set():
        if time.monotonic() - begin > node.limit_minutes * MINUTE_S:
            return f"it took more than {node.limit_minutes:g} minutes (--time-limit)"
        if memory_of(process.pid) > most_bytes:
            return f"it took more than {node.memory_gib:g} GiB of memory (--memory-limit)"
        process.join(LOOK_S)
    return ""


def memory_of(pid: int | None) -> int:
    """Return the memory of a process and of those that it started, in bytes."""
    n_bytes = 0
    with suppress(psutil.Error):
        first = psutil.Process(pid)
        for one in (first, *first.children(recursive=True)):
            with suppress(psutil.Error):
                n_bytes += one.memory_info().rss
    return n_bytes


def end(process: BaseProcess) -> None:
    """Kill a process with all that it started, and wait for its end."""
    if process.is_alive() and process.pid is not None:
        with suppress(OSError):
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    process.join(SECONDS_TO_END)


def _unnatural_end(process: BaseProcess, results: Path) -> Outcome:
    """Return what is to be said of a process that left no word."""
    code = process.exitcode
    if code is not None and code < 0:
        return Outcome("fault", f"its process was ended by signal {-code}")
    if not can_write(results.parent):
        return Outcome("machine", "the disk is full, or cannot be written to")
    return Outcome("fault", f"its process ended with status {code}")


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
