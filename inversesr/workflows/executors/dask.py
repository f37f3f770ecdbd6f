"""The executor `dask`: workers of a Dask cluster, or processes that stand for one here.

Dask gives a scan whose worker vanished to another. A scheduler that restarts has forgotten all:
what had not ended is handed in again. Work on a scan that is done already does nothing.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from inversesr.errors import InputError, MachineError
from inversesr.workflows.executors.alone import carry_out
from inversesr.workflows.executors.protocol import (
    Conditions,
    Failure,
    check_settings,
    set_aside,
)
from inversesr.workflows.executors.work_file import read_work, write_work

# Settings: address of a scheduler; else the cluster is made here.
SCHEDULER = "scheduler"
# Scans that the scheduler knows of: enough for a cluster to grow, few enough for its memory.
LEAST_OUTSTANDING, OUTSTANDING_A_THREAD = 1000, 3
# How long a scheduler may be away: a restart on another machine takes its time.
PATIENCE_SECONDS = 300.0
ANSWER_SECONDS = 20.0
LOOK_SECONDS = 0.2
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
    file = write_work(conditions.folder, work, conditions)
    with _scheduler(conditions) as address:
        rounds = _Rounds(address, _client_of(address), file, conditions.tries)
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
            n_workers=conditions.n_jobs,
            threads_per_worker=1,
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
        file: The work.
        tries: How often Dask may give up on a scan whose workers died.
        given_up: Scan -> how often it did.
        outstanding: What the scheduler knows of -> the scan.
    """

    address: str
    client: Any
    file: Path
    tries: int
    given_up: dict[Path, int] = field(default_factory=dict)
    outstanding: dict[Any, Path] = field(default_factory=dict)

    def carry_out(self, scans: Sequence[Path]) -> Generator[tuple[Path, Failure | None]]:
        """Give each scan once, as it has ended."""
        waiting = list(reversed(scans))
        try:
            while waiting or self.outstanding:
                self._hand_in(waiting)
                ended = self._ended()
                for future in ended:
                    scan = self.outstanding.pop(future)
                    is_final, failure = self._judged(scan, future)
                    if is_final:
                        yield scan, failure
                    else:
                        waiting.append(scan)
                if not ended:
                    sleep(LOOK_SECONDS)
        finally:
            with suppress(Exception):  # the scheduler may be gone, too
                self.client.cancel(list(self.outstanding), force=True)

    def _hand_in(self, waiting: list[Path]) -> None:
        """Let the scheduler know of more scans, where it knows of few."""
        room = self._room() - len(self.outstanding) if waiting else 0
        if room <= 0:
            return
        self._wait_for_scheduler()
        for _ in range(min(room, len(waiting))):
            scan = waiting.pop()
            # not pure: a scan that is handed in again is another piece of work
            future = self.client.submit(_on_worker, str(self.file), str(scan), pure=False)
            self.outstanding[future] = scan

    def _room(self) -> int:
        """Return how many scans the scheduler may know of."""
        if len(self.outstanding) > LEAST_OUTSTANDING // 2:
            return max(LEAST_OUTSTANDING, len(self.outstanding))
        n_threads = 0
        with suppress(OSError):
            n_threads = sum(self.client.nthreads().values())
        return max(LEAST_OUTSTANDING, OUTSTANDING_A_THREAD * n_threads)

    def _ended(self) -> list[Any]:
        return [future for future in self.outstanding if future.status != "pending"]

    def _judged(self, scan: Path, future: Any) -> tuple[bool, Failure | None]:  # noqa: ANN401
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
        self.given_up[scan] = self.given_up.get(scan, 0) + 1
        lost = Failure("its worker was lost", is_unusable=False, is_killed=True)
        is_final = self.given_up[scan] >= self.tries
        return is_final, set_aside(lost, self.tries) if is_final else None

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


def _on_worker(file: str, scan: str) -> None:
    """Do the work on a scan in a process of its own, on a worker of Dask.

    Raises:
        _WorkFailedError: the facts of the failure.
    """
    _allow_children()
    place = Path(file)
    work, conditions = read_work(place, place.stat().st_mtime_ns)
    failure = carry_out(work, Path(scan), conditions, _is_wanted())
    if failure is not None:
        raise _WorkFailedError(failure.sentence, failure.is_unusable, failure.is_killed)


def _allow_children() -> None:
    """Let a worker that Dask's nanny started start processes: they end with it in any case."""
    from multiprocessing import current_process

    current_process()._config["daemon"] = False  # type: ignore[attr-defined]


def _is_wanted() -> Callable[[], bool]:
    """Return what tells whether the scheduler still wants what this thread is doing."""
    from distributed import get_worker
    from distributed.worker import thread_state

    worker, key = get_worker(), thread_state.key

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state in ("executing", "long-running")

    return is_wanted
