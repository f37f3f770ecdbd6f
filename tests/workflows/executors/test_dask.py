import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from inversesr.errors import InputError
from inversesr.workflows.executors import dask
from inversesr.workflows.executors.dask import execute
from inversesr.workflows.executors.protocol import Conditions
from tests.support.executor_laws import check_limits, check_tries, slept, work

pytest.importorskip("distributed", reason="no Dask")
# Dask closes what it opened a little after it was asked to
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def start(folder, name, *words):
    """Start a program of Dask, whose words go into a file; return both."""
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", "dask", str(name).partition("-")[0], *words]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with log.open("a") as file:
        return subprocess.Popen(
            command, stderr=file, stdout=file, env=environment, cwd=folder
        ), log


def wait_for(log, pattern, seconds=60):
    """Return what a pattern finds in the words of a program."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text()):
            return found.group(1)
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def end(processes):
    for process in processes:
        for part in [*psutil.Process(process.pid).children(recursive=True), process]:
            part.kill()
        process.wait()


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers, as a user starts them: address, and what was started."""
    started = []
    try:
        scheduler, log = start(tmp_path, "scheduler", *SCHEDULER, "0")
        started.append(scheduler)
        address = wait_for(log, r"Scheduler at:\s+(tcp://\S+)")
        started += [start_worker(tmp_path, n, address) for n in range(2)]
        yield address, started
    finally:
        end(started)


SCHEDULER = ("--host", "127.0.0.1", "--no-dashboard", "--port")


def start_worker(folder, n, address):
    """Start a worker, and wait until the scheduler knows it."""
    words = ["--nthreads", "1", "--no-dashboard", "--local-directory", str(folder)]
    worker, log = start(folder, f"worker-{n}", address, *words)
    wait_for(log, r"(Registered to):")
    return worker


def test_it_obeys_the_laws_of_executors(tmp_path):
    check_tries(execute, tmp_path)


def test_an_address_without_scheduler_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(dask, "ANSWER_SECONDS", 0.5)
    settings = {"scheduler": "tcp://127.0.0.1:9"}
    with pytest.raises(InputError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"):
        next(execute(print, [tmp_path], Conditions(settings=settings, folder=tmp_path / "own")))


def test_without_dask_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'inversesr\[dask\]'"):
        next(execute(print, [tmp_path], Conditions(folder=tmp_path / "own")))


def test_settings_that_are_not_known_are_refused(tmp_path):
    with pytest.raises(InputError, match="the executor dask takes scheduler"):
        next(execute(print, [tmp_path], Conditions(settings={"queue": "long"})))


@pytest.mark.slow
def test_scans_have_limits_of_time_and_memory(tmp_path):
    check_limits(execute, tmp_path)


@pytest.mark.slow
def test_a_cluster_that_a_user_started_obeys_the_laws(tmp_path, cluster):
    check_tries(execute, tmp_path, {"scheduler": cluster[0]})


@pytest.mark.slow
def test_work_ends_on_the_workers_where_the_batch_is_closed(tmp_path, cluster):
    scans = [tmp_path / "slow", tmp_path / "first"]
    conditions = Conditions(2, settings={"scheduler": cluster[0]}, folder=tmp_path / "own")
    ended = execute(partial(work, tmp_path), scans, conditions)
    assert next(ended)[0].name == "first"
    ended.close()
    deadline = time.monotonic() + 30.0
    while working(cluster[1]) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not working(cluster[1])


def working(started):
    """Return the processes that do work: copies of the one that loads libraries."""
    below = [p for s in started for p in psutil.Process(s.pid).children(recursive=True)]
    servers = [p for p in below if "forkserver" in " ".join(p.cmdline())]
    return [p for s in servers for p in s.children() if p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills with a POSIX signal")
def test_workers_that_vanish_and_a_scheduler_that_restarts_lose_no_scan(tmp_path, cluster):
    address, started = cluster
    scans = [tmp_path / f"{n}" for n in range(40)]
    conditions = Conditions(2, settings={"scheduler": address}, folder=tmp_path / "own")
    found = []
    for scan, failure in execute(partial(slept, tmp_path, 0.3), scans, conditions):
        found.append((scan, failure))
        if len(found) == 5:  # a node vanishes: worker, its nanny and all
            end([started.pop()])
        if len(found) == 10:  # the worker alone: its nanny starts another
            nanny = psutil.Process(started[1].pid)
            for child in nanny.children():
                child.send_signal(signal.SIGKILL)
        if len(found) == 15:
            end([started.pop(0)])  # what manages the cluster starts it again, with workers
            port = address.rpartition(":")[2]
            started.append(start(tmp_path, "scheduler-again", *SCHEDULER, port)[0])
            started.append(start_worker(tmp_path, "again", address))
    assert sorted(scan for scan, _ in found) == sorted(scans)
    assert [failure for _, failure in found] == [None] * len(scans)
    assert all((tmp_path / scan.name).read_text() == "done" for scan in scans)
