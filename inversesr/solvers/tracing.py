"""Lets a benchmark watch the images that a solver goes through; nobody watches a normal run.

A solver, or what it is made of, shows each image that it arrives at. The image is only computed
where somebody watches. Who watches belongs to the context, not to every signature on the way.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

# called with an image on the fine grid, in the intensities of the scan
Watch = Callable[[Tensor], None]
_WATCH: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Have a function called with every image that a solver shows meanwhile."""
    token = _WATCH.set(watch)
    try:
        yield
    finally:
        _WATCH.reset(token)


def show(image: Callable[[], Tensor]) -> None:
    """Show an image to whoever watches.

    Args:
        image: Returns it, on the fine grid in the intensities of the scan; not called where
            nobody watches.
    """
    watch = _WATCH.get()
    if watch is not None:
        watch(image().detach())
