"""Processes of their own, which end with the process that asked for them."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import active_children, get_context, parent_process
from typing import Any

from inversesr.errors import InverseSRError, machine_fault

# What every run loads when it writes its report; a process that is copied has it already.
OF_THE_REPORT = ("jinja2", "matplotlib.figure", "matplotlib.backends.backend_agg")
# A killed process that still waits for a disk may take longer; nobody waits for it.
SECONDS_TO_END = 5.0


def new_process() -> ProcessPoolExecutor:
    """Return a process that starts from nothing, so that its memory and its time are its own."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=follow_parent)


def prepared_process(work: Callable[..., Any]) -> ProcessPoolExecutor:
    """Return a process for work whose libraries are loaded already; memory and time are its own.

    It is a copy of a process that has loaded them and does nothing else; where copies are not
    safe, it starts from nothing.

    Args:
        work: What it will be asked to do; see `module_of`.
    """
    if sys.platform != "linux":
        return new_process()
    context = get_context("forkserver")
    # without effect where the process that is copied is running
    context.set_forkserver_preload([module_of(work), *OF_THE_REPORT])
    begin = partial(_begin_copy, dict(os.environ))
    return ProcessPoolExecutor(1, mp_context=context, initializer=begin)


def module_of(work: Callable[..., Any]) -> str:
    """Return the name of the module that work needs.

    Args:
        work: A function, a `partial` of one, or what names the module in its attribute `module`.
    """
    function = work.func if isinstance(work, partial) else work
    return str(getattr(function, "module", function.__module__))


def _begin_copy(environment: Mapping[str, str]) -> None:
    """Take over the present environment of the parent, and end with it."""
    os.environ.clear()
    os.environ.update(environment)
    follow_parent()


def follow_parent() -> None:
    """End this process as soon as its parent is gone, killed ones included."""
    parent = parent_process()
    if parent is None:
        return
    # a terminal sends an interrupt to all processes: the parent ends this one in good order
    signal.signal(signal.SIGINT, signal.SIG_IGN)

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
