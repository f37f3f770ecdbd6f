"""A cluster of Dask on this machine, for tests: a scheduler and workers, as a user starts them."""

import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SCHEDULER = ("--host", "127.0.0.1", "--no-dashboard", "--port")
ROOT = Path(__file__).parents[2]


@dataclass
class DaskCluster:
    """A running cluster.

    Attributes:
        folder: Where its logs and files are.
        address: Of the scheduler.
        processes: Name -> process of the scheduler, and of the nanny of each worker.
    """

    folder: Path
    address: str = ""
    processes: dict = field(default_factory=dict)

    def start(self, n_workers):
        """Start a scheduler and workers, and wait until it knows them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start_scheduler()
        logs = [self.begin_worker(f"worker-{n}") for n in range(n_workers)]
        for log in logs:
            wait_for(log, r"(Registered to):")

    def start_scheduler(self):
        """Start the scheduler, at the port where it was before."""
        port = self.address.rpartition(":")[2] or "0"
        log = self._start("scheduler", "scheduler", *SCHEDULER, port)
        self.address = wait_for(log, r"Scheduler at:\s+(tcp://\S+)")

    def begin_worker(self, name):
        """Start a worker; return its log."""
        words = ["--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder)]
        return self._start(name, "worker", self.address, *words)

    def _start(self, name, program, *words):
        log = self.folder / f"{name}.log"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "dask", program, *words]
        with log.open("w") as file:
            self.processes[name] = subprocess.Popen(
                command, stderr=file, stdout=file, env=environment, cwd=self.folder
            )
        return log

    def kill(self, name):
        """Let a process vanish with all that it started."""
        process = self.processes.pop(name)
        for part in [*psutil.Process(process.pid).children(recursive=True), process]:
            with suppress(psutil.NoSuchProcess):
                part.kill()
        process.wait()

    def workers(self):
        """Return the worker processes, which nannies start again."""
        nannies = [psutil.Process(p.pid) for n, p in list(self.processes.items()) if "worker" in n]
        found = [child for nanny in nannies for child in nanny.children()]
        return [p for p in found if "spawn_main" in " ".join(p.cmdline())]

    def at_work(self):
        """Return the processes that do work: copies of the one that loads libraries."""
        below = [p for w in self.workers() for p in w.children(recursive=True)]
        servers = [p for p in below if "forkserver" in " ".join(p.cmdline())]
        return [p for s in servers for p in s.children() if p.status() != psutil.STATUS_ZOMBIE]

    def stop(self):
        """Kill all of it."""
        for name in list(self.processes):
            self.kill(name)


def wait_for(log, pattern, seconds=90):
    """Return what a pattern finds in the words of a program."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text()):
            return found.group(1)
        time.sleep(0.1)
    raise AssertionError(log.read_text())
