"""Independent pieces of work, shared among threads that meet only when all pieces are done.

An operation that OpenMP splits ends when its slowest thread ends, hundreds of times a second.
Where another program takes a core, each of these meetings waits until that core is free again:
two threads on two cores, one of them busy, took five times as long as on free cores. Here a piece
runs on one thread from beginning to end and a free thread takes the next piece, so that a busy
core costs its share and no more. The pieces do not depend on the number of threads, and so
neither does the result.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Barrier, local
from typing import TypeVar

import torch

Item = TypeVar("Item")
Found = TypeVar("Found")

_thread = local()


def each(run: Callable[[Item], Found], items: Iterable[Item]) -> list[Found]:
    """Apply a function to every item, on as many threads as torch may use.

    Within the function every operation of torch runs on one thread. Settings of torch that belong
    to a thread, such as autocast and whether gradients are recorded, are to be made in it.

    Args:
        run: The function. Called within another one of this kind, it runs on the same thread.
        items: Its arguments.

    Returns:
        Its results, in the order of the items.
    """
    if is_within():
        return [run(item) for item in items]
    return list(_pool(torch.get_num_threads(), os.getpid()).map(run, items))


def is_within() -> bool:
    """Whether the caller runs on one of these threads."""
    return getattr(_thread, "is_worker", False)


@lru_cache(maxsize=1)
def _pool(n_threads: int, _process: int) -> ThreadPoolExecutor:
    """Return the threads of this process; a forked process has none of its parent's."""
    pool = ThreadPoolExecutor(n_threads, "inversesr", _begin)
    # all threads begin now: each changes the number that threads of the process are given from
    # then on, which is set right when the last one has done so
    all_begun = Barrier(n_threads)
    list(pool.map(lambda _: all_begun.wait(), range(n_threads)))
    torch.set_num_threads(n_threads)
    return pool


def _begin() -> None:
    # asked for once, a thread takes the number of the process, and would do so later otherwise
    torch.get_num_threads()
    torch.set_num_threads(1)
    _thread.is_worker = True
