"""The executor `local`: processes on this machine, each started for one scan."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from inversesr.workflows.executors.alone import carry_out
from inversesr.workflows.executors.protocol import Conditions, Failure, check_settings
from inversesr.workflows.worker import end_children


def execute(
    work: Callable[[Path], None], scans: Sequence[Path], conditions: Conditions
) -> Generator[tuple[Path, Failure | None]]:
    """Carry out work on scans; see `protocol.Executor`."""
    check_settings("local", conditions, ())
    stopped = Event()

    def is_wanted() -> bool:
        return not stopped.is_set()

    with _threads(conditions.n_jobs, stopped) as threads:
        futures = {threads.submit(carry_out, work, s, conditions, is_wanted): s for s in scans}
        for future in as_completed(futures):
            yield futures[future], future.result()


@contextmanager
def _threads(n: int, stopped: Event) -> Iterator[ThreadPoolExecutor]:
    """Give threads that wait for processes; an interrupt ends all of them at once."""
    pool = ThreadPoolExecutor(n)
    try:
        yield pool
    except BaseException:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)
        end_children()
        raise
    finally:
        pool.shutdown()
