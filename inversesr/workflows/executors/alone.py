"""Work on one scan in a process of its own, within its limits of time and memory."""

import os
from collections.abc import Callable
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from time import monotonic

import psutil

from inversesr.resources import gibibytes
from inversesr.workflows.executors.protocol import Conditions, Failure, failure_from, set_aside
from inversesr.workflows.worker import SECONDS_TO_END, prepared_process

# How often limits are looked at, and whether the work is still wanted.
LOOK_SECONDS = 0.5


def carry_out(
    work: Callable[[Path], None],
    scan: Path,
    conditions: Conditions,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Failure | None:
    """Do the work on a scan; where its process is killed, try again.

    Args:
        work: What is done.
        scan: The scan.
        conditions: Limits, and how many tries there are.
        is_wanted: Tells, again and again, whether the work is to go on.

    Returns:
        Why it failed; None where it did not.
    """
    failure = None
    for _ in range(conditions.tries):
        failure = try_once(work, scan, conditions, is_wanted)
        if failure is None or not failure.is_killed or not is_wanted():
            return failure
    return failure and set_aside(failure, conditions.tries)


def try_once(
    work: Callable[[Path], None],
    scan: Path,
    conditions: Conditions,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Failure | None:
    """Do the work on a scan once; see `carry_out`."""
    if not conditions.has_own_process:
        return failure_from(_done_here(work, scan))
    try:
        with prepared_process(work) as process:
            pid = process.submit(os.getpid).result()
            future = process.submit(work, scan)
            reason = _watch(future, pid, conditions, is_wanted)
            return Failure(reason, is_unusable=False) if reason else failure_from(future)
    except (BrokenProcessPool, EOFError, ConnectionError) as error:
        # the others: killed was what processes are copied from
        died: Future[None] = Future()
        died.set_exception(BrokenProcessPool(str(error)))
        return failure_from(died)
    except OSError as error:
        return Failure(f"no process could be started: {error}", is_unusable=False)


def _done_here(work: Callable[[Path], None], scan: Path) -> "Future[None]":
    """Do work in this thread; return what it ended with."""
    future: Future[None] = Future()
    try:
        work(scan)
        future.set_result(None)
    except Exception as error:  # noqa: BLE001 (whatever a process would end with)
        future.set_exception(error)
    return future


def _watch(
    future: "Future[None]", pid: int, conditions: Conditions, is_wanted: Callable[[], bool]
) -> str:
    """Wait for work to end; end it where a limit is passed, and return which, in a sentence."""
    start = monotonic()
    while not wait([future], LOOK_SECONDS).done:
        reason = _excess(pid, monotonic() - start, conditions)
        if not is_wanted():
            reason = "the work was interrupted"
        if reason:
            kill_family(pid)
            return reason
    return ""


def _excess(pid: int, seconds: float, conditions: Conditions) -> str:
    """Return which limit a process has passed, in a sentence; nothing where it has not."""
    longest, most = conditions.time_limit_s, conditions.memory_limit_bytes
    if longest is not None and seconds > longest:
        return f"it took longer than the {longest / 60.0:g} min that --time-limit allows"
    if most is None:
        return ""
    used = 0
    with suppress(psutil.NoSuchProcess):
        used = sum(process.memory_info().rss for process in _family(pid))
    return f"it needed more than the {gibibytes(most)} of --memory-limit" if used > most else ""


def _family(pid: int) -> list[psutil.Process]:
    """Return a process and those that it started."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def kill_family(pid: int) -> None:
    """Kill a process and those that it started, and wait for their end."""
    family: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        family = _family(pid)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, SECONDS_TO_END)
