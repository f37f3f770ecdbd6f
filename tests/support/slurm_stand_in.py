"""A stand-in for sbatch, squeue and scancel: jobs are processes here. For tests without Slurm.

FOLDER/asked       the words of every sbatch, one a line
FOLDER/job-ID      name and processes of an array that has begun
FOLDER/kill        where it is there, the running tasks of an array are killed, once
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

COMMANDS = ("sbatch", "squeue", "scancel")
PARTITIONS = ("long", "short")


def install(folder):
    """Write the commands into a folder, and return it."""
    folder.mkdir(parents=True)
    for name in COMMANDS:
        command = folder / name
        command.write_text(
            f'#!/bin/sh\nexec {sys.executable} -I -S {Path(__file__)} {folder} {name} "$@"\n'
        )
        command.chmod(0o755)
    return folder


def value_of(words, name, default=""):
    """Return the value of an option."""
    found = [word.partition("=")[2] for word in words if word.startswith(f"--{name}=")]
    return found[-1] if found else default


def sbatch(folder, words):
    """Start an array of jobs, which runs on when this process has ended."""
    with (folder / "asked").open("a") as file:
        file.write("\n".join(words) + "\n")
    partition = value_of(words, "partition", "long")
    if partition not in PARTITIONS:
        sys.exit("sbatch: error: invalid partition specified: " + partition)
    script = folder / f"script-{time.time_ns()}"
    script.write_text(sys.stdin.read())
    facts = [value_of(words, name) for name in ("job-name", "array", "output")]
    command = [sys.executable, "-I", "-S", __file__, str(folder), "array", str(script), *facts]
    array = subprocess.Popen(
        command, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    (folder / f"job-{array.pid}").write_text(value_of(words, "job-name"))
    sys.stdout.write(f"{array.pid}\n")


def array(folder, words):
    """Run the tasks of an array, some at a time."""
    script, _name, span, output = words
    last, most = map(int, re.fullmatch(r"0-(\d+)%(\d+)", span).groups())
    waiting, running = list(range(last + 1)), []
    while waiting or running:
        running = [task for task in running if task.poll() is None]
        while waiting and len(running) < most:
            number = waiting.pop(0)
            log = output.replace("%A", str(os.getpid())).replace("%a", str(number))
            with Path(log).open("a") as file:
                environment = {**os.environ, "SLURM_ARRAY_TASK_ID": str(number)}
                task = ["/bin/sh", script]
                running.append(subprocess.Popen(task, env=environment, stdout=file, stderr=file))
        if (folder / "kill").exists():
            (folder / "kill").unlink()
            for task in running:
                task.kill()
        time.sleep(0.05)


def squeue(folder, words):
    """Print the arrays of a name that have not ended."""
    for job in jobs_of(folder, words):
        sys.stdout.write(f"{job}\n")


def scancel(folder, words):
    """Kill the arrays of a name with all their tasks."""
    for job in jobs_of(folder, words):
        os.killpg(job, signal.SIGKILL)


def jobs_of(folder, words):
    """Return the arrays of a name that have not ended."""
    name = value_of(words, "name")
    return [
        int(file.name.partition("-")[2])
        for file in folder.glob("job-*")
        if file.read_text() == name and is_running(int(file.name.partition("-")[2]))
    ]


def is_running(pid):
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


if __name__ == "__main__":
    globals()[sys.argv[2]](Path(sys.argv[1]), sys.argv[3:])
