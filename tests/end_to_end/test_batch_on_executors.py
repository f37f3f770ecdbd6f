"""A batch with bad scans on every executor: interrupted, its processes killed at random.

INVERSESR_TEST_SCANS=200 restores 200 scans on each, 20 of them bad, in place of few.
"""

import csv
import gzip
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import forkserver
from threading import Event, Thread

import nibabel
import numpy as np
import psutil
import pytest

from inversesr.workflows.batch import Batch, run_batch
from inversesr.workflows.batch_table import DONE, KEPT, REFUSED, TABLE_NAME
from inversesr.workflows.executors import slurm
from inversesr.workflows.executors.protocol import Conditions
from tests.support.batches import SPLINE, stamps, write_scan
from tests.support.dask_cluster import DaskCluster

FEW = 12
N_SCANS = int(os.environ.get("INVERSESR_TEST_SCANS", FEW))
N_BAD = max(10, N_SCANS // 10)
N_KILLS = max(2, N_SCANS // 10)
SECONDS_BETWEEN_KILLS, SECONDS_BETWEEN_LOOKS = 3.0 if N_SCANS > FEW else 0.5, 0.05
# a busy machine may lose a node or a worker of itself
MORE_TRIES = 10


def write_bad(folder, n):
    """Write scans that are bad in different ways; return the name of each and its reason."""
    kinds = {
        "empty": (lambda path: path.write_bytes(b""), "empty"),
        "text": (lambda path: path.write_text("no image"), "plain text"),
        "cut": (cut, "ends before its last voxel"),
        "thin": (lambda path: write_scan(path, spacing=1.0), "isotropic"),
        "flat": (lambda path: save(path, np.full((12, 11, 6), 7.0)), "the same intensity"),
        "nan": (lambda path: save(path, np.full((12, 11, 6), np.nan)), "NaN or Inf"),
        "series": (lambda path: save(path, np.ones((8, 8, 6, 3))), "4D"),
        "lone": (lambda path: save(path, np.ones((8, 8, 1))), "slice"),
        "link": (lambda path: path.symlink_to("../.git/annex/objects/xx"), "datalad get"),
        "folder": (
            lambda path: write_scan(path.with_suffix("")).rename(path),
            "nor compressed as its name says",
        ),
    }
    reasons = {}
    for i in range(n):
        name, (write, reason) = list(kinds.items())[i % len(kinds)]
        path = folder / f"ward {i % 3}" / f"{name}-{i}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
        reasons[str(path.relative_to(folder))] = reason
    return reasons


def save(path, data, spacing=(1.0, 1.0, 4.0)):
    image = nibabel.Nifti1Image(data.astype(np.float32), np.diag([*spacing, 1.0]))
    nibabel.save(image, path)


def cut(path):
    write_scan(path)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:600]))


def words_of(process):
    """Return how a process is called; nothing where it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def copies():
    """Return the processes that work on a scan: copies of one that has loaded libraries."""
    found = []
    with suppress(psutil.Error):
        for server in psutil.Process().children(recursive=True):
            if "forkserver" in words_of(server):
                found += server.children()
    return found


def tasks(folder):
    """Return the jobs of Slurm that work below a folder."""
    found = [(process, words_of(process)) for process in psutil.process_iter()]
    return [p for p, words in found if "executors.slurm_task" in words and str(folder) in words]


@dataclass
class Killer:
    """Kills processes at random while a block runs, once the first scan has ended.

    Attributes:
        victims: Returns those that may be killed.
        n_most: Kills at the most: one scan alone may be hit each time.
        n_kills: Kills until now.
        may_begin: Set when the first scan has ended.
    """

    victims: object
    n_most: int
    n_kills: int = 0
    may_begin: Event = field(default_factory=Event)
    stopped: Event = field(default_factory=Event)

    def __enter__(self):
        self.thread = Thread(target=self.work)
        self.thread.start()
        return self

    def __exit__(self, *_error):
        self.stopped.set()
        self.may_begin.set()
        self.thread.join()

    def work(self):
        chance, pause = random.Random(0), 0.0
        self.may_begin.wait()
        while self.n_kills < self.n_most and not self.stopped.wait(pause):
            # as soon as there is one: a fast machine is done with few scans in no time
            pause = SECONDS_BETWEEN_LOOKS
            with suppress(IndexError, psutil.NoSuchProcess):
                chance.choice(self.victims()).kill()
                self.n_kills += 1
                pause = SECONDS_BETWEEN_KILLS


@dataclass
class Case:
    """A batch of small scans.

    Attributes:
        folder: Where everything is.
        n_good: Scans that can be restored.
        n_bad: Scans that cannot.
    """

    folder: object
    n_good: int = N_SCANS - N_BAD
    n_bad: int = N_BAD

    def check(self, executor, victims, settings=None, n_kills=N_KILLS, watch=lambda _n: None):
        """Restore them, interrupted once and while processes are killed; see that all is well."""
        for i in range(self.n_good):
            write_scan(self.folder / "in" / f"ward {i % 3}" / f"good-{i}.nii.gz", seed=i)
        reasons = write_bad(self.folder / "in", self.n_bad)
        conditions = Conditions(2, tries=n_kills + MORE_TRIES, settings=settings or {})
        batch = Batch(
            self.folder / "in",
            self.folder / "out",
            SPLINE,
            conditions=conditions,
            executor=executor,
        )
        # what is copied has loaded what a batch needs, whatever other tests did
        forkserver._forkserver._stop()
        kept = self.interrupt(batch)
        told = []
        with Killer(victims, n_kills) as killer:

            def progress(entry, n_done, _n_all):
                told.append(entry.scan)
                killer.may_begin.set()
                watch(n_done)

            run_batch(batch, progress)
        self.check_told(told, reasons)
        assert killer.n_kills > 0
        assert kept.items() <= stamps(batch.output).items()

    def interrupt(self, batch):
        """Begin the batch, and interrupt it; return what was done until then."""

        def progress(_entry, n_done, _n_all):
            if n_done == 1:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            run_batch(batch, progress)
        assert not tasks(self.folder)
        assert not copies()
        kept = stamps(batch.output)
        time.sleep(0.5)
        assert stamps(batch.output) == kept
        assert not list(batch.output.rglob(".inversesr*"))
        return kept

    def check_told(self, told, reasons):
        """Check what was told, the table, and what lies beside it."""
        output = self.folder / "out"
        with (output / TABLE_NAME).open(newline="") as file:
            rows = {row["scan"]: row for row in csv.DictReader(file)}
        assert max(Counter(told).values()) == 1
        assert sorted(told) == sorted(rows)
        assert len(rows) == self.n_good + self.n_bad
        for name, row in rows.items():
            assert row["status"] in ((REFUSED,) if name in reasons else (DONE, KEPT)), row
            assert reasons.get(name, "") in row["reason"]
            assert (row["image"] != "") == (name not in reasons)
        assert len(list(output.rglob("*_desc-sr.nii.gz"))) == self.n_good
        assert not list(output.rglob(".inversesr*"))


def test_a_batch_whose_processes_are_killed_does_every_scan_once(tmp_path):
    case = Case(tmp_path, 3, 5) if N_SCANS == FEW else Case(tmp_path)
    case.check("local", copies)


@pytest.mark.slow
def test_many_scans_on_a_dask_cluster_that_is_made_here_are_done_once(tmp_path):
    pytest.importorskip("distributed", reason="no Dask")
    Case(tmp_path).check("dask", copies)


@pytest.mark.slow
def test_many_scans_on_a_dask_cluster_whose_worker_vanishes_for_good_are_done_once(tmp_path):
    pytest.importorskip("distributed", reason="no Dask")
    cluster = DaskCluster(tmp_path / "dask")

    def watch(n_done):
        if n_done == N_SCANS // 4:
            cluster.kill("worker-1")

    try:
        cluster.start(2)
        case, settings = Case(tmp_path), {"scheduler": cluster.address}
        case.check("dask", cluster.workers, settings, N_KILLS // 2, watch)
    finally:
        cluster.stop()


@pytest.mark.slow
def test_many_scans_on_two_nodes_of_slurm_are_done_once(tmp_path, real_slurm, monkeypatch):
    monkeypatch.setattr(slurm, "QUEUE_SECONDS", 1.0)
    monkeypatch.setattr(slurm, "JOBS_A_PLACE", 2)
    monkeypatch.setenv("SLURM_CONF", real_slurm.environment["SLURM_CONF"])
    Case(tmp_path).check("slurm", lambda: tasks(tmp_path))
