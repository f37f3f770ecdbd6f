"""The executor `dask`: workers of a Dask cluster, or threads that stand for one here.

Dask gives a scan whose worker vanished to another. A scheduler that restarts has forgotten all:
what had not ended is handed in again. Work on a scan that is done already does nothing.

Where the cluster is made here, its only worker is part of this process. Worker processes would be
of no use, as each scan has a process of its own, and could be lost: Dask's `LocalCluster` gives up
one for good that dies while it starts, or is starting again 15 s after it was lost.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from inversesr.errors import InputError, MachineError
from inversesr.workflows.executors.job_folder import JobFolder
from inversesr.workflows.executors.protocol import (
    Conditions,
    Failure,
    check_settings,
    set_aside,
)
from inversesr.workflows.executors.tries import carry_out_noted

# Settings: address of a scheduler; else the cluster is made here.
SCHEDULER = "scheduler"
# Scans that the scheduler knows of: enough for a cluster to grow, few enough for its memory.
LEAST_OUTSTANDING, OUTSTANDING_A_THREAD = 1000, 3
# How long a scheduler may be away: a restart on another machine takes its time.
PATIENCE_SECONDS = 300.0
ANSWER_SECONDS = 20.0
LOOK_SECONDS = 0.2
# How long there may be no worker at all: on a busy cluster they wait in a queue.
WORKERLESS_SECONDS = 3600.0
# How long work that was told to end may take to do so.
END_SECONDS = 10.0
LOST = Failure("its worker was lost", is_unusable=False, is_killed=True)
CONFIGURATION = {
    # how long a call waits, a busy machine may be silent, and a silent worker is not gone
    "distributed.comm.timeouts.connect": f"{PATIENCE_SECONDS:.0f}s",
    "distributed.comm.timeouts.tcp": f"{PATIENCE_SECONDS:.0f}s",
    "distributed.scheduler.worker-ttl": "60s",
    "distributed.admin.log-format": "%(message)s",
}


def execute(
    work: Callable[[Path], None], scans: Sequence[Path], conditions: Conditions
) -> Generator[tuple[Path, Failure | None]]:
    """Carry out work on scans; see `protocol.Executor`."""
    check_settings("dask", conditions, (SCHEDULER,))
    if not scans:
        return
    folder = JobFolder(conditions.folder / "dask")
    folder.begin(work, conditions)
    with _scheduler(conditions) as address:
        rounds = _Rounds(address, _client_of(address), folder, conditions.tries)
        try:
            yield from rounds.carry_out(scans)
        finally:
            with suppress(Exception):  # the scheduler may be gone
                rounds.client.close()


@contextmanager
def _scheduler(conditions: Conditions) -> Iterator[str]:
    """Give the address of the scheduler that was named, or of one that is made here and ended."""
    try:
        import dask
        import distributed
    except ImportError as error:
        message = "the executor dask needs Dask: pip install 'inversesr[dask]', on workers too"
        raise InputError(message) from error
    address = conditions.settings.get(SCHEDULER)
    with dask.config.set(CONFIGURATION):
        if address is not None:
            yield _reached(address)
            return
        with distributed.LocalCluster(
            processes=False,
            n_workers=1,
            threads_per_worker=conditions.n_jobs,
            memory_limit=0,  # of the worker itself; those of scans are in their conditions
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster:
            yield cluster.scheduler_address


def _client_of(address: str) -> Any:  # noqa: ANN401 (a class of an optional package)
    import distributed

    return distributed.Client(address, timeout=PATIENCE_SECONDS)


def _reached(address: str) -> str:
    """Return the address of a scheduler that answers."""
    import distributed

    try:
        with distributed.Client(address, timeout=ANSWER_SECONDS):
            return address
    except (OSError, ValueError) as error:
        message = (
            f"no Dask scheduler answers at {address} ({error}): start one there with "
            "`dask scheduler`, or leave out --executor-set scheduler"
        )
        raise InputError(message) from error


@dataclass
class _Rounds:
    """Hands scans to a cluster until each has ended once.

    Attributes:
        address: Of the scheduler.
        client: Client of the scheduler.
        folder: The work, and which tries have begun.
        tries: How often Dask may give up on a scan whose workers died.
        given_up: Number of a scan -> how often it did.
        outstanding: What the scheduler knows of -> number and scan.
        last_seen: When a worker was last known to be there.
    """

    address: str
    client: Any
    folder: JobFolder
    tries: int
    given_up: dict[int, int] = field(default_factory=dict)
    outstanding: dict[Any, tuple[int, Path]] = field(default_factory=dict)
    last_seen: float = field(default_factory=monotonic)

    def carry_out(self, scans: Sequence[Path]) -> Generator[tuple[Path, Failure | None]]:
        """Give each scan once, as it has ended."""
        waiting = list(enumerate(scans))[::-1]
        try:
            while waiting or self.outstanding:
                self._hand_in(waiting)
                ended = self._ended()
                for future in ended:
                    number, scan = self.outstanding.pop(future)
                    is_final, failure = self._judged(number, future)
                    if is_final:
                        yield scan, failure
                    else:
                        waiting.append((number, scan))
                self._look_for_workers(is_there=bool(ended))
                if not ended:
                    sleep(LOOK_SECONDS)
        finally:
            with suppress(Exception):  # the scheduler may be gone, too
                self._end()

    def _hand_in(self, waiting: list[tuple[int, Path]]) -> None:
        """Let the scheduler know of more scans, where it knows of few."""
        room = self._room() - len(self.outstanding) if waiting else 0
        if room <= 0:
            return
        self._wait_for_scheduler()
        for _ in range(min(room, len(waiting))):
            number, scan = waiting.pop()
            # not pure: a scan that is handed in again is another piece of work
            words = (str(self.folder.path), number, str(scan))
            future = self.client.submit(_on_worker, *words, pure=False)
            self.outstanding[future] = (number, scan)

    def _room(self) -> int:
        """Return how many scans the scheduler may know of."""
        if len(self.outstanding) > LEAST_OUTSTANDING // 2:
            return max(LEAST_OUTSTANDING, len(self.outstanding))
        return max(LEAST_OUTSTANDING, OUTSTANDING_A_THREAD * self._n_threads())

    def _n_threads(self) -> int:
        """Return how many threads all workers have."""
        with suppress(OSError):
            return sum(self.client.nthreads().values())
        return 0

    def _ended(self) -> list[Any]:
        return [future for future in self.outstanding if future.status != "pending"]

    def _judged(self, number: int, future: Any) -> tuple[bool, Failure | None]:  # noqa: ANN401
        """Return whether a scan has ended, and its failure."""
        import distributed

        if future.status == "finished":
            return True, None
        if future.status != "error":
            return False, None  # cancelled or lost: the scheduler has forgotten it
        error = future.exception()
        if isinstance(error, _WorkFailedError):
            return True, Failure(*error.args)
        if not isinstance(error, distributed.scheduler.KilledWorker):
            return True, Failure(f"{type(error).__name__}: {error}", is_unusable=False)
        self.given_up[number] = self.given_up.get(number, 0) + 1
        is_final = self.given_up[number] >= self.tries
        return is_final, set_aside(LOST, self.tries) if is_final else None

    def _look_for_workers(self, *, is_there: bool) -> None:
        """Refuse to wait without end for workers.

        Raises:
            MachineError: there was none for a long time.
        """
        silent = monotonic() - self.last_seen
        if is_there or (silent > ANSWER_SECONDS and self._n_threads()):
            self.last_seen = monotonic()
        elif silent > WORKERLESS_SECONDS:
            message = (
                f"no worker of Dask was at {self.address} for {silent / 60.0:.0f} min: start "
                f"`dask worker {self.address}`, and give the same command again; what is done is "
                "kept"
            )
            raise MachineError(message)

    def _end(self) -> None:
        """End what has begun, and wait for its end: nothing is written after that."""
        if not self.outstanding or self.client.status != "running":
            return
        keys = {future.key for future in self.outstanding}
        self.client.cancel(list(self.outstanding), force=True)
        start = monotonic()
        while monotonic() - start < END_SECONDS:
            active = self.client.run(_active_keys, on_error="ignore")
            if not any(keys & found for found in active.values()):
                return
            sleep(LOOK_SECONDS)

    def _wait_for_scheduler(self) -> None:
        """Wait until a scheduler that went away is back; the client may not find it by itself."""
        start = monotonic()
        while self.client.status != "running":
            if monotonic() - start > PATIENCE_SECONDS:
                message = (
                    f"the Dask scheduler has not answered for {PATIENCE_SECONDS:.0f} s: start it, "
                    "and give the same command again; what is done is kept"
                )
                raise MachineError(message)
            is_stuck = monotonic() - start > ANSWER_SECONDS
            if is_stuck or self.client.status == "closed":
                with suppress(Exception):  # it is in no state to be closed well
                    self.client.close(timeout=LOOK_SECONDS)
                with suppress(OSError):
                    self.client = _client_of(self.address)
            sleep(LOOK_SECONDS)


class _WorkFailedError(Exception):
    """Tells a failure: an error comes with the word that work has ended, a result does not."""


def _on_worker(folder: str, number: int, scan: str) -> None:
    """Do the work on a scan in a process of its own, on a worker of Dask.

    Raises:
        _WorkFailedError: the facts of the failure.
    """
    _allow_children()
    place = JobFolder(Path(folder))
    failure = carry_out_noted(place, number, Path(scan), LOST, _is_wanted())
    if failure is not None:
        raise _WorkFailedError(failure.sentence, failure.is_unusable, failure.is_killed)


def _active_keys(dask_worker: Any) -> set[str]:  # noqa: ANN401 (a class of an optional package)
    """Return what a worker's threads are doing."""
    return set(dask_worker.active_keys)


def _allow_children() -> None:
    """Let a worker that Dask's nanny started start processes: they end with it in any case."""
    from multiprocessing import current_process

    current_process()._config["daemon"] = False  # type: ignore[attr-defined]


def _is_wanted() -> Callable[[], bool]:
    """Return what tells whether the scheduler still wants what this thread is doing."""
    from distributed import Status, get_worker
    from distributed.worker import thread_state

    worker, key = get_worker(), thread_state.key
    at_work = (Status.running, Status.paused, Status.closing_gracefully)

    def is_wanted() -> bool:
        if worker.status not in at_work:
            return False
        task = worker.state.tasks.get(key)
        return task is not None and task.state in ("executing", "long-running")

    return is_wanted
