"""Work on a scan whose tries are noted in files: they count though worker or job is killed."""

from collections.abc import Callable
from pathlib import Path

from inversesr.workflows.executors.alone import try_once
from inversesr.workflows.executors.job_folder import JobFolder
from inversesr.workflows.executors.protocol import Failure, set_aside


def carry_out_noted(
    folder: JobFolder,
    number: int,
    scan: Path,
    lost: Failure,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Failure | None:
    """Do the work on a scan; where a process is killed, this one included, another try counts.

    Args:
        folder: Where work and tries are noted.
        number: Number of the scan.
        scan: The scan.
        lost: What is told where every try ended with the process that watched it.
        is_wanted: Tells, again and again, whether the work is to go on.

    Returns:
        Why it failed; None where it did not.
    """
    work, conditions = folder.work()
    failure = lost
    while (n_before := folder.note_begin(number)) < conditions.tries:
        ended = try_once(work, scan, conditions, is_wanted)
        if ended is None or not ended.is_killed or not is_wanted():
            # Dask does work again whose result was lost with a worker: only kills count
            folder.take_back(number, n_before)
            return ended
        failure = ended
    return set_aside(failure, conditions.tries)
