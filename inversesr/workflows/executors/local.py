"""The executor `local`: processes on this machine, each started for one scan."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from inversesr.workflows.executors.protocol import Failure, failure_from
from inversesr.workflows.worker import end_children, new_process


def execute(
    work: Callable[[Path], None], scans: Sequence[Path], n_jobs: int
) -> Generator[tuple[Path, Failure | None]]:
    """Carry out work on scans; see `protocol.Executor`."""
    with _threads(n_jobs) as threads:
        futures = {threads.submit(_alone, work, scan): scan for scan in scans}
        for future in as_completed(futures):
            yield futures[future], future.result()


@contextmanager
def _threads(n: int) -> Iterator[ThreadPoolExecutor]:
    """Give threads that wait for processes; an interrupt ends all of them at once."""
    pool = ThreadPoolExecutor(n)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        end_children()
        raise
    finally:
        pool.shutdown()


def _alone(work: Callable[[Path], None], scan: Path) -> Failure | None:
    """Do the work in a new process, whose memory and time are its own."""
    try:
        with new_process() as process:
            return failure_from(process.submit(work, scan))
    except OSError as error:
        return Failure(f"no process could be started: {error}", is_unusable=False)
