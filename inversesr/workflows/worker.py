"""Processes of their own, which end with the process that asked for them."""

import os
import threading
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process
from typing import Any

from inversesr.errors import InverseSRError, machine_fault

# A killed process that still waits for a disk may take longer; nobody waits for it.
SECONDS_TO_END = 5.0


def new_process() -> ProcessPoolExecutor:
    """Return a process that starts from nothing, so that its memory and its time are its own."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=follow_parent)


def follow_parent() -> None:
    """End this process as soon as its parent is gone, killed ones included."""
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def end_children() -> None:
    """Kill every child of this process, whoever started it, and wait for its end."""
    children = active_children()
    for child in children:
        child.kill()
    for child in children:
        child.join(SECONDS_TO_END)


def failure_of(future: Future[Any]) -> str:
    """Wait, and return what went wrong in a sentence, or nothing."""
    error = future.exception()
    if error is None:
        return ""
    if isinstance(error, BrokenProcessPool):
        return "the process was killed, as happens where memory runs out"
    if isinstance(error, InverseSRError):
        return str(error)
    if fault := machine_fault(error):
        return fault
    return f"{type(error).__name__}: {error}".partition("\n")[0]
