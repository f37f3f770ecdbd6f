"""What an executor must offer, and the table of those that there are.

An executor carries out independent pieces of work, one a scan, wherever it likes.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Protocol, cast

from inversesr.errors import AccessError, InputError
from inversesr.workflows.worker import failure_of

# name -> the module whose function `execute` is the executor
EXECUTORS = {
    "local": "inversesr.workflows.executors.local",
    "dask": "inversesr.workflows.executors.dask",
    "slurm": "inversesr.workflows.executors.slurm",
}
# Where an executor keeps its files, in the folder of results.
FOLDER_NAME = ".inversesr-executor"


@dataclass(frozen=True)
class Conditions:
    """Under which conditions work is carried out.

    Attributes:
        n_jobs: Scans at a time.
        time_limit_s: Seconds that a scan may take; None for no limit.
        memory_limit_bytes: Resident memory that a scan may need; None for no limit.
        tries: How often the work on a scan begins where its process or machine dies.
        settings: What only this executor knows: name -> value.
        folder: Where an executor may keep files; every process can reach it.
        has_own_process: Whether each scan has a process of its own; limits hold only there.

    Raises:
        InputError: a value is outside its range.
    """

    n_jobs: int = 1
    time_limit_s: float | None = None
    memory_limit_bytes: float | None = None
    tries: int = 3
    settings: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path(FOLDER_NAME)
    has_own_process: bool = True

    def __post_init__(self) -> None:
        for name, number in {"jobs": self.n_jobs, "tries": self.tries}.items():
            if number < 1:
                message = f"{name} is {number}; expected at least 1"
                raise InputError(message)
        limits = {"time-limit": self.time_limit_s, "memory-limit": self.memory_limit_bytes}
        for name, limit in limits.items():
            if limit is not None and not (isfinite(limit) and limit > 0):
                message = f"{name} is {limit:g}; expected a number above 0"
                raise InputError(message)


@dataclass(frozen=True)
class Failure:
    """Why a piece of work has no result.

    Attributes:
        sentence: The reason.
        is_unusable: Whether its input cannot be used; else the work itself failed.
        is_killed: Whether its process was ended from outside, so that another try may help.
    """

    sentence: str
    is_unusable: bool
    is_killed: bool = False


def failure_from(future: Future[None]) -> Failure | None:
    """Wait for work to end, and return why it failed, or None."""
    sentence = failure_of(future)
    if not sentence:
        return None
    raised = future.exception()
    # permissions are not a scan's fault
    is_unusable = isinstance(raised, InputError) and not isinstance(raised, AccessError)
    return Failure(sentence, is_unusable, isinstance(raised, BrokenProcessPool))


def set_aside(failure: Failure, n_tries: int) -> Failure:
    """Return the failure of a scan that is not tried again, as every try was killed."""
    if n_tries < 2:
        return failure
    sentence = f"{failure.sentence}; set aside after {n_tries} tries"
    return Failure(sentence, failure.is_unusable, failure.is_killed)


class Executor(Protocol):
    """Carries out work on scans, several at a time."""

    def __call__(
        self, work: Callable[[Path], None], scans: Sequence[Path], conditions: Conditions
    ) -> Generator[tuple[Path, Failure | None]]:
        """Give each scan once, as its work has ended, with the reason where it failed.

        Where a process or machine dies, the work on a scan begins again: it must do no harm to do
        it twice. Closing the generator, or an interrupt, ends all work that has begun.

        Args:
            work: What is done with a scan; it can be pickled, and returns nothing.
            scans: The scans; they lie in folders that every process can reach.
            conditions: How many at a time, and limits.

        Raises:
            InputError: a setting is not known, or what the executor needs is not installed.
            MachineError: what carries out the work cannot be reached any more.
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


def check_settings(executor: str, conditions: Conditions, known: Sequence[str]) -> None:
    """Refuse settings that an executor does not know.

    Raises:
        InputError: there is one.
    """
    for name in conditions.settings:
        if name not in known:
            expected = " or ".join(known) or "no settings"
            message = f"--executor-set {name}: the executor {executor} takes {expected}"
            raise InputError(message)
