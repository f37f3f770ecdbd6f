"""The executor `slurm`: arrays of jobs that Slurm starts wherever there is room.

Nothing runs between here and the jobs but files in a folder of the results (`job_folder`) and the
commands sbatch, squeue and scancel. Slurm starts a job again whose machine failed. When an array
has ended, scans whose jobs were killed make another.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from math import ceil
from pathlib import Path
from shlex import quote
from time import monotonic, sleep

from inversesr.errors import InputError, MachineError
from inversesr.workflows.executors.job_folder import JobFolder
from inversesr.workflows.executors.protocol import Conditions, Failure

# Slurm's default MaxArraySize is 1001; more scans than that share jobs.
LARGEST_ARRAY = 1000
# Jobs for each that runs at a time: few, as each loads libraries; enough to share work evenly.
JOBS_A_PLACE = 8
LOOK_SECONDS = 0.5
# Commands of Slurm burden its controller, which all users share.
QUEUE_SECONDS = 5.0
# How long the controller may be away: a restart on another machine takes its time.
PATIENCE_SECONDS = 600.0
# A job may need this beside its scans: to start, and to load libraries.
MORE_SECONDS, MORE_BYTES = 300.0, 2**30
OURS = ("array", "job-name", "output", "open-mode", "parsable", "wrap")


def execute(
    work: Callable[[Path], None], scans: Sequence[Path], conditions: Conditions
) -> Generator[tuple[Path, Failure | None]]:
    """Carry out work on scans; see `protocol.Executor`."""
    for name in conditions.settings:
        if name in OURS or not name.replace("-", "").isalnum():
            message = f"--executor-set {name}: give an option of sbatch, and none of {OURS}"
            raise InputError(message)
    if not scans:
        return
    name = f"inversesr-{hashlib.sha256(os.fsencode(conditions.folder.resolve())).hexdigest()[:12]}"
    _end(name)  # what a killed batch left running would do the same scans
    folder = JobFolder(conditions.folder / "slurm")
    folder.begin(work, conditions)
    try:
        yield from _carry_out(folder, scans, conditions, name)
    finally:
        _end(name)


def _carry_out(
    folder: JobFolder, scans: Sequence[Path], conditions: Conditions, name: str
) -> Generator[tuple[Path, Failure | None]]:
    """Give each scan once, array after array."""
    waiting = dict(enumerate(scans))
    n_arrays = 0
    while waiting:
        n_known, n_arrays = folder.n_begun(), n_arrays + 1
        n_most = min(LARGEST_ARRAY, JOBS_A_PLACE * conditions.n_jobs)
        n_jobs = folder.write_parts(n_arrays, waiting, n_most)
        _submit(folder, n_arrays, n_jobs, conditions, name)
        n_before = len(waiting)
        for number, failure in _ended(folder, waiting, name):
            yield waiting.pop(number), failure
        if len(waiting) == n_before and folder.n_begun() == n_known:
            message = (
                f"no job of Slurm began its work: {folder.last_words()}; see {folder.path}, and "
                "make sure that this Python is there on the nodes"
            )
            raise MachineError(message)


def _ended(
    folder: JobFolder, waiting: dict[int, Path], name: str
) -> Generator[tuple[int, Failure | None]]:
    """Give the numbers of scans as they end, until the array has ended."""
    asked, is_queued = monotonic(), True
    while waiting and is_queued:
        sleep(LOOK_SECONDS)
        if monotonic() - asked > QUEUE_SECONDS:
            is_queued, asked = _is_queued(name), monotonic()
        # after the queue was asked: what ended in between is seen
        yield from folder.new_results(waiting)


def _submit(
    folder: JobFolder, n_array: int, n_jobs: int, conditions: Conditions, name: str
) -> None:
    """Hand an array of jobs to Slurm."""
    options = {
        "job-name": name,
        "array": f"0-{n_jobs - 1}%{conditions.n_jobs}",
        "output": str(folder.path / "log-%A_%a.txt"),
        "open-mode": "append",
        **_limits(conditions, folder.largest_part(n_array)),
        **conditions.settings,
    }
    words = [f"--{key}={value}" if value else f"--{key}" for key, value in options.items()]
    task = "inversesr.workflows.executors.slurm_task"
    command = f"{quote(sys.executable)} -m {task} {quote(str(folder.path))} {n_array}"
    script = f'#!/bin/sh\nexport OMP_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-1}}"\nexec {command}\n'
    _ask(["sbatch", "--parsable", "--requeue", *words], script)


def _limits(conditions: Conditions, n_scans: int) -> dict[str, str]:
    """Return the limits of a job: those of its scans, and some more for what is around them."""
    limits = {}
    if conditions.time_limit_s is not None:
        seconds = n_scans * conditions.time_limit_s + MORE_SECONDS
        limits["time"] = str(ceil(seconds / 60.0))
    if conditions.memory_limit_bytes is not None:
        limits["mem"] = f"{ceil((conditions.memory_limit_bytes + MORE_BYTES) / 2**20)}M"
    return limits


def _is_queued(name: str) -> bool:
    """Whether Slurm has jobs of this name that have not ended."""
    return bool(_ask(["squeue", "--me", "--noheader", f"--name={name}"]).strip())


def _end(name: str) -> None:
    """End all jobs of this name, and wait for their end."""
    _ask(["scancel", "--me", "--quiet", f"--name={name}"])
    start = monotonic()
    while _is_queued(name) and monotonic() - start < PATIENCE_SECONDS:
        sleep(LOOK_SECONDS)


def _ask(command: list[str], text: str = "") -> str:
    """Run a command of Slurm and return what it prints; a controller that is away is waited for.

    Raises:
        InputError: Slurm is not installed here, or refuses the job.
        MachineError: its controller does not answer.
    """
    start = monotonic()
    while True:
        try:
            done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        except FileNotFoundError as error:
            message = f"the executor slurm needs Slurm: no {command[0]} here; use a login node"
            raise InputError(message) from error
        if done.returncode == 0:
            return done.stdout
        told = done.stderr.strip().partition("\n")[0]
        if command[0] == "sbatch" and not _is_away(done.stderr):
            message = f"Slurm refuses the jobs ({told}): see --executor-set and the limits"
            raise InputError(message)
        if monotonic() - start > PATIENCE_SECONDS:
            message = (
                f"Slurm has not answered for {PATIENCE_SECONDS:.0f} s ({told}): give the same "
                "command again when it does; what is done is kept"
            )
            raise MachineError(message)
        sleep(QUEUE_SECONDS)


def _is_away(told: str) -> bool:
    """Whether an error of Slurm says that its controller did not answer."""
    words = ("contact slurm controller", "timed out", "connection refused", "Unable to connect")
    return any(word.lower() in told.lower() for word in words)
