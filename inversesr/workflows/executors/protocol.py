"""What an executor must offer, and the table of those that there are.

An executor carries out independent pieces of work, one a scan, wherever it likes.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from inversesr.errors import AccessError, InputError
from inversesr.workflows.worker import failure_of

# name -> the module whose function `execute` is the executor
EXECUTORS = {
    "local": "inversesr.workflows.executors.local",
}


@dataclass(frozen=True)
class Failure:
    """Why a piece of work has no result.

    Attributes:
        sentence: The reason.
        is_unusable: Whether its input cannot be used; else the work itself failed.
    """

    sentence: str
    is_unusable: bool


def failure_from(future: Future[None]) -> Failure | None:
    """Wait for work to end, and return why it failed, or None."""
    sentence = failure_of(future)
    if not sentence:
        return None
    raised = future.exception()
    # permissions are not a scan's fault
    is_unusable = isinstance(raised, InputError) and not isinstance(raised, AccessError)
    return Failure(sentence, is_unusable)


class Executor(Protocol):
    """Carries out work on scans, several at a time."""

    def __call__(
        self, work: Callable[[Path], None], scans: Sequence[Path], n_jobs: int
    ) -> Generator[tuple[Path, Failure | None]]:
        """Give each scan as its work has ended, with the reason where it failed.

        Closing the generator, or an interrupt, ends all work that has begun.

        Args:
            work: What is done with a scan; it can be pickled, and returns nothing.
            scans: The scans; they lie in folders that every process can reach.
            n_jobs: Scans at a time.
        """
        ...


def executor_of(name: str) -> Executor:
    """Return an executor by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in EXECUTORS:
        message = f"executor is {name}; expected {' or '.join(EXECUTORS)}"
        raise InputError(message)
    return cast("Executor", import_module(EXECUTORS[name]).execute)
