"""What an executor costs: very many scans that only take time, on very many workers.

The executor `dask`, the count of what has ended and the table of a batch are the real ones. So are
the workers, with a thread each, many in one process; in place of a restoration they sleep, and
sometimes die. In the middle one process vanishes with all its workers and is replaced.
"""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import psutil

from inversesr.resources import peak_memory_bytes
from inversesr.workflows.batch_table import FAILED, TABLE_NAME, Entry, entries_of, growing_table
from inversesr.workflows.executors.protocol import Conditions, executor_of

WORKERS_IN_A_PROCESS = 125
START_SECONDS = 300.0


@dataclass(frozen=True)
class Load:
    """What is to be carried out.

    Attributes:
        n_scans: Scans.
        n_workers: Workers.
        mean_s: Mean seconds that a scan takes; they are distributed exponentially.
        death_share: Share of tries in which the process of a scan dies.
    """

    n_scans: int
    n_workers: int
    mean_s: float
    death_share: float


@dataclass(frozen=True)
class Cost:
    """What it cost.

    Attributes:
        n_scans: Scans.
        n_workers: Workers.
        n_once: Scans that were told once, and are in the table.
        n_set_aside: Those of them that died in every try.
        seconds: Wall clock from the first scan to the last.
        ideal_seconds: The same if nothing but the work took time.
        batch_ms: Processor time of the process of the batch for each scan, in milliseconds.
        scheduler_ms: The same of Dask's scheduler.
        scheduler_mib: Peak resident memory of the scheduler.
        batch_mib: The same of the process of the batch.
    """

    n_scans: int
    n_workers: int
    n_once: int
    n_set_aside: int
    seconds: float
    ideal_seconds: float
    batch_ms: float
    scheduler_ms: float
    scheduler_mib: float
    batch_mib: float


def measure_load(load: Load) -> Cost:
    """Carry out a load on a Dask cluster made for it, and return what it cost."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _cluster(folder, load.n_workers) as (address, scheduler, hosts):
            return _measured(load, folder, address, scheduler, hosts)


def _measured(
    load: Load, folder: Path, address: str, scheduler: psutil.Process, hosts: "_Hosts"
) -> Cost:
    scans = [folder / f"sub-{n:06d}_T2w.nii.gz" for n in range(load.n_scans)]
    conditions = Conditions(
        settings={"scheduler": address}, folder=folder / "own", has_own_process=False
    )
    work = partial(_sleep, load.mean_s, load.death_share)
    told: dict[Path, int] = dict.fromkeys(scans, 0)
    n_set_aside = 0
    peak, start, own_start = 0, time.monotonic(), _own_seconds()
    scheduler_start = sum(scheduler.cpu_times()[:2])
    with growing_table(folder / TABLE_NAME) as note:
        for n, (scan, failure) in enumerate(executor_of("dask")(work, scans, conditions)):
            told[scan] += 1
            entry = Entry(scan.name)
            if failure is not None:
                n_set_aside += 1
                entry = replace(entry, status=FAILED, reason=failure.sentence)
            note(entry)
            if n == load.n_scans // 2:
                hosts.replace_one()
            if n % 1000 == 0:
                peak = max(peak, scheduler.memory_info().rss)
    seconds = time.monotonic() - start
    in_table = entries_of(folder / TABLE_NAME)
    return Cost(
        load.n_scans,
        load.n_workers,
        sum(n == 1 and scan.name in in_table for scan, n in told.items()),
        n_set_aside,
        seconds,
        load.n_scans * load.mean_s / load.n_workers,
        1e3 * (_own_seconds() - own_start) / load.n_scans,
        1e3 * (sum(scheduler.cpu_times()[:2]) - scheduler_start) / load.n_scans,
        max(peak, scheduler.memory_info().rss) / 2**20,
        peak_memory_bytes() / 2**20,
    )


def _own_seconds() -> float:
    used = getrusage(RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _sleep(mean_s: float, death_share: float, _scan: Path) -> None:
    """Take a while, and sometimes die."""
    chance = random.Random()
    time.sleep(chance.expovariate(1.0 / mean_s))
    if chance.random() < death_share:
        raise BrokenProcessPool


@contextmanager
def _cluster(folder: Path, n_workers: int) -> Iterator[tuple[str, psutil.Process, "_Hosts"]]:
    """Give a scheduler's address and process, and the processes of its workers."""
    file = folder / "scheduler.json"
    words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    log = (folder / "log").open("w")
    with log, _ended(subprocess.Popen(_python("dask", "scheduler", *words), stderr=log)) as one:
        deadline = time.monotonic() + START_SECONDS
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
        address = json.loads(file.read_text())["address"]
        hosts = _Hosts(address, folder, log)
        try:
            hosts.start(n_workers)
            yield address, psutil.Process(one.pid), hosts
        finally:
            hosts.end()


@contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    """Give a process, and end it."""
    try:
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _python(module: str, *words: str) -> list[str]:
    return [sys.executable, "-m", module, *words]


@dataclass
class _Hosts:
    """Processes that hold many workers each."""

    address: str
    folder: Path
    log: Any

    def __post_init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, n_workers: int) -> None:
        """Start workers, and wait until the scheduler knows them."""
        import distributed

        for first in range(0, n_workers, WORKERS_IN_A_PROCESS):
            self._start_one(min(WORKERS_IN_A_PROCESS, n_workers - first))
        with distributed.Client(self.address, timeout=START_SECONDS) as client:
            client.wait_for_workers(n_workers, timeout=START_SECONDS)

    def _start_one(self, n: int) -> None:
        command = _python("inversesr.benchmarks.many_workers", self.address, str(n))
        process = subprocess.Popen(command, stderr=self.log, stdout=self.log, cwd=self.folder)
        self.processes.append(process)

    def replace_one(self) -> None:
        """Kill one process with all its workers, and start another."""
        first = self.processes.pop(0)
        first.kill()
        first.wait()
        self._start_one(WORKERS_IN_A_PROCESS)

    def end(self) -> None:
        """Kill all of them."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
