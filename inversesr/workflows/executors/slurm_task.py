"""What a job of the executor `slurm` does: one scan after the other, each in its own process.

python -m inversesr.workflows.executors.slurm_task FOLDER N_ARRAY
"""

import os
import signal
import sys
from pathlib import Path

from inversesr.workflows.executors.job_folder import JobFolder
from inversesr.workflows.executors.protocol import Failure
from inversesr.workflows.executors.tries import carry_out_noted
from inversesr.workflows.worker import end_children

LOST = Failure("the job that worked on it was killed", is_unusable=False, is_killed=True)


def run_part(folder: JobFolder, n_array: int, n_job: int) -> None:
    """Do the scans of one job of an array; those that have ended are left out.

    A job that was killed is started again by Slurm, or by another array: what it had begun counts
    as a try.
    """
    for number, scan in folder.parts(n_array)[n_job]:
        if not folder.has_ended(number):
            folder.note_end(number, carry_out_noted(folder, number, Path(scan), LOST))


def end(_number: int, _frame: object) -> None:
    """End this job, and before it what works on a scan: nothing is written after its end."""
    end_children()
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    run_part(
        JobFolder(Path(sys.argv[1])), int(sys.argv[2]), int(os.environ["SLURM_ARRAY_TASK_ID"])
    )
