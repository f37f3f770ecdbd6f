"""A batch with bad scans, whose processes are killed at random, on every executor."""

import csv
import gzip
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import nibabel
import numpy as np
import psutil
import pytest

from tests.support.batches import write_scan
from tests.support.slurm import Slurm, why_not

SECONDS_BETWEEN_KILLS = 1.5
# 200 scans take five minutes of two cores on each executor: INVERSESR_TEST_SCANS=200
# a busy machine may lose a node or a worker of itself
MORE_TRIES = 10
N_SCANS, N_BAD = int(os.environ.get("INVERSESR_TEST_SCANS", "50")), 20


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


def run_killing(command, folder, environment, is_victim, n_most):
    """Run a batch while some processes below it, or of Slurm, are killed at random."""
    chance, kills = random.Random(0), 0
    with (folder / "told").open("w") as told:
        batch = subprocess.Popen(command, cwd=folder, env=environment, stdout=told, stderr=told)
    while batch.poll() is None:
        time.sleep(SECONDS_BETWEEN_KILLS)
        victims = [p for p in psutil.process_iter() if is_victim(p, batch.pid)]
        has_begun = (folder / "told").stat().st_size > 0
        if victims and has_begun and kills < n_most:
            victim = chance.choice(victims)
            try:
                victim.send_signal(signal.SIGKILL)
                kills += 1
            except psutil.NoSuchProcess:
                continue
    return batch.returncode, kills


def below(process, top):
    """Return how a process is called, if it is below another; else nothing."""
    try:
        if top not in [parent.pid for parent in process.parents()]:
            return ""
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def is_copy(process, top):
    """Whether a process works on a scan: a copy of the one that has loaded libraries."""
    try:
        return "forkserver" in below(process.parent(), top) if process.parent() else False
    except psutil.Error:
        return False


def is_slurm_task(process, _top):
    try:
        return "executors.slurm_task" in " ".join(process.cmdline())
    except psutil.Error:
        return False


VICTIMS = {"local": is_copy, "slurm": is_slurm_task}


def check_batch(tmp_path, executor, n_good, n_bad, environment=None):
    # one scan alone may be hit each time, on a busy machine
    n_kills_most = max(2, (n_good + n_bad) // 4)
    folder = tmp_path / "in"
    for i in range(n_good):
        write_scan(folder / f"ward {i % 3}" / f"good-{i}.nii.gz", seed=i)
    reasons = write_bad(folder, n_bad)
    command = [sys.executable, "-m", "inversesr", "batch", "in", "-o", "out", "--jobs", "2"]
    command += [
        "--executor",
        executor,
        "--solver",
        "spline",
        "--tries",
        f"{n_kills_most + MORE_TRIES}",
    ]
    status, n_kills = run_killing(
        command,
        tmp_path,
        {**os.environ, **(environment or {})},
        VICTIMS[executor],
        n_kills_most,
    )
    words = (tmp_path / "told").read_text()
    assert status == 1, words
    with (tmp_path / "out" / "batch.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["scan"] for row in rows}) == len(rows) == n_good + n_bad
    bad = {row["scan"]: row for row in rows if row["status"] != "done"}
    assert set(bad) == set(reasons)
    assert Counter(row["status"] for row in bad.values()) == {"refused": n_bad}
    for name, row in bad.items():
        assert reasons[name] in row["reason"], name
    # told once, while the batch ran, too
    told = [line.partition(" ")[2].partition(".nii.gz: ")[0] for line in words.splitlines()]
    assert max(Counter(line for line in told if "ward" in line).values()) == 1
    for row in rows:
        assert (row["image"] != "") == (row["status"] == "done")
    images = list((tmp_path / "out").rglob("*_desc-sr.nii.gz"))
    assert len(images) == n_good
    assert not list((tmp_path / "out").rglob(".inversesr*"))
    return n_kills


def test_a_batch_whose_processes_are_killed_does_every_scan_once(tmp_path):
    # so few may all be done before one is hit; the slow test sees that there were kills
    check_batch(tmp_path, "local", 3, 5)


@pytest.mark.slow
def test_many_scans_whose_workers_are_killed_are_done_once(tmp_path):
    assert check_batch(tmp_path, "local", N_SCANS - N_BAD, N_BAD) > 0


@pytest.mark.slow
def test_many_scans_on_two_nodes_of_slurm_are_done_once(tmp_path):
    if reason := why_not():
        pytest.skip(reason)
    two_nodes = Slurm(tmp_path / "slurm")
    try:
        two_nodes.start()
        check_batch(tmp_path, "slurm", N_SCANS - N_BAD, N_BAD, two_nodes.environment)
    finally:
        two_nodes.stop()
