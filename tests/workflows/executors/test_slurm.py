"""The executor `slurm`: against a stand-in for its commands, and against the real programs."""

import os
import subprocess
import sys
from functools import partial
from threading import Timer

import pytest

from inversesr.errors import InputError, MachineError
from inversesr.workflows.executors import slurm
from inversesr.workflows.executors.protocol import Conditions
from inversesr.workflows.executors.slurm import execute
from tests.support.executor_laws import check_done, check_limits, check_tries, slept, work
from tests.support.slurm import wait_until
from tests.support.slurm_stand_in import install, is_running


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A stand-in for Slurm's commands, whose jobs are processes on this machine."""
    monkeypatch.setattr(slurm, "QUEUE_SECONDS", 0.3)
    monkeypatch.setattr(slurm, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(slurm, "JOBS_A_PLACE", 1)
    place = install(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    yield place
    slurm._end("inversesr-test")


@pytest.fixture
def two_nodes(real_slurm, monkeypatch):
    """A Slurm of two nodes, whose commands this process finds."""
    monkeypatch.setattr(slurm, "QUEUE_SECONDS", 1.0)
    monkeypatch.setattr(slurm, "JOBS_A_PLACE", 1)
    monkeypatch.setenv("SLURM_CONF", real_slurm.environment["SLURM_CONF"])
    return real_slurm


@pytest.mark.usefixtures("stand_in")
def test_it_obeys_the_laws_of_executors(tmp_path):
    check_tries(execute, tmp_path)


def test_limits_and_settings_are_handed_to_sbatch(tmp_path, stand_in):
    settings = {"partition": "long", "exclusive": ""}
    conditions = Conditions(7, 90.0, 2**30, 3, settings, tmp_path / "own")
    list(execute(partial(work, tmp_path), [tmp_path / "first"], conditions))
    words = (stand_in / "asked").read_text().splitlines()
    for word in ("--array=0-0%7", "--time=7", "--mem=2048M", "--partition=long", "--exclusive"):
        assert word in words
    assert "--requeue" in words


def test_scans_share_jobs_where_an_array_would_be_too_large(tmp_path, stand_in, monkeypatch):
    monkeypatch.setattr(slurm, "LARGEST_ARRAY", 2)
    scans = [tmp_path / str(n) for n in range(5)]
    conditions = Conditions(2, folder=tmp_path / "own")
    found = dict(execute(partial(slept, tmp_path, 0.0), scans, conditions))
    assert found == dict.fromkeys(scans)
    assert "--array=0-1%2" in (stand_in / "asked").read_text().splitlines()


@pytest.mark.slow
def test_jobs_that_are_killed_are_started_again_until_every_scan_has_ended(tmp_path, stand_in):
    scans = [tmp_path / str(n) for n in range(4)]
    conditions = Conditions(2, folder=tmp_path / "own")
    found = []
    for scan, failure in execute(partial(slept, tmp_path, 0.3), scans, conditions):
        found.append((scan, failure))
        if len(found) == 1:
            (stand_in / "kill").touch()
    assert sorted(found) == [(scan, None) for scan in scans]


KILLED_BATCH = """
import sys
from functools import partial
from pathlib import Path
from inversesr.workflows.executors.protocol import Conditions
from inversesr.workflows.executors.slurm import execute
from tests.support.executor_laws import work
folder = Path(sys.argv[1])
list(execute(partial(work, folder), [folder / "slow"], Conditions(folder=folder / "own")))
"""


@pytest.mark.slow
def test_what_a_killed_batch_left_running_is_ended_first(tmp_path, stand_in):
    former = subprocess.Popen([sys.executable, "-c", KILLED_BATCH, str(tmp_path)])
    wait_until(lambda: list(tmp_path.glob("own/slurm/begun/*")))
    former.kill()
    former.wait()
    (job,) = stand_in.glob("job-*")
    assert is_running(int(job.name.partition("-")[2]))
    conditions = Conditions(1, folder=tmp_path / "own")
    found = list(execute(partial(work, tmp_path), [tmp_path / "first"], conditions))
    assert found == [(tmp_path / "first", None)]
    assert not is_running(int(job.name.partition("-")[2]))


@pytest.mark.usefixtures("stand_in")
def test_jobs_that_cannot_even_begin_are_no_endless_loop(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    conditions = Conditions(1, folder=tmp_path / "own")
    with pytest.raises(MachineError, match=r"no job of Slurm began its work: .*no/such/python"):
        list(execute(print, [tmp_path / "first"], conditions))


@pytest.mark.usefixtures("stand_in")
def test_a_refusal_of_sbatch_is_one_sentence(tmp_path):
    conditions = Conditions(1, settings={"partition": "nowhere"}, folder=tmp_path / "own")
    with pytest.raises(InputError, match=r"Slurm refuses the jobs .*invalid partition"):
        list(execute(print, [tmp_path / "first"], conditions))


def test_where_there_is_no_slurm_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="needs Slurm: no scancel here"):
        list(execute(print, [tmp_path / "first"], Conditions(folder=tmp_path / "own")))


@pytest.mark.parametrize("name", ["array", "wrap", "a b"])
def test_settings_that_are_ours_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="give an option of sbatch"):
        list(execute(print, [tmp_path], Conditions(settings={name: "1"})))


@pytest.mark.slow
@pytest.mark.usefixtures("two_nodes")
def test_real_slurm_obeys_the_laws_of_executors(tmp_path):
    check_tries(execute, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("two_nodes")
def test_scans_have_limits_on_real_slurm(tmp_path):
    check_limits(execute, tmp_path)


@pytest.mark.slow
def test_a_node_that_vanishes_and_a_controller_that_restarts_lose_no_scan(tmp_path, two_nodes):
    scans = [tmp_path / f"{n}" for n in range(24)]
    conditions = Conditions(2, folder=tmp_path / "own")
    found = []
    for scan, failure in execute(partial(slept, tmp_path, 0.5), scans, conditions):
        found.append((scan, failure))
        if len(found) == 4:
            two_nodes.kill_node("node2")
        if len(found) == 8:
            two_nodes.kill("controller")
            Timer(2.0, two_nodes.start_controller).start()
            Timer(4.0, two_nodes.start_node, ["node2"]).start()
    check_done(tmp_path, found, scans)
