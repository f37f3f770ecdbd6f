"""Processes of their own for measurements, which end with the process that asked for them."""

import os
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process


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
