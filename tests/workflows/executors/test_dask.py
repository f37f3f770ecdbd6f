import os
import sys
import time
from functools import partial

import pytest

from inversesr.errors import InputError, MachineError
from inversesr.workflows.executors import dask
from inversesr.workflows.executors.dask import execute
from inversesr.workflows.executors.protocol import Conditions
from tests.support.dask_cluster import DaskCluster
from tests.support.executor_laws import (
    check_done,
    check_kills,
    check_limits,
    check_tries,
    slept,
    work,
)

distributed = pytest.importorskip("distributed", reason="no Dask")
# Dask closes what it opened a little after it was asked to
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler and two workers, as a user starts them."""
    started = DaskCluster(tmp_path_factory.mktemp("dask"))
    try:
        started.start(2)
        yield started
    finally:
        started.stop()


def test_it_obeys_the_laws_of_executors(tmp_path):
    check_tries(execute, tmp_path)


def test_work_is_done_once_though_its_processes_are_killed_again_and_again(tmp_path):
    check_kills(execute, tmp_path)


def test_scans_have_limits_of_time_and_memory(tmp_path):
    check_limits(execute, tmp_path)


def test_a_cluster_without_workers_is_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(dask, "ANSWER_SECONDS", 5.0)
    monkeypatch.setattr(dask, "WORKERLESS_SECONDS", 0.5)
    with distributed.LocalCluster(
        n_workers=0, processes=True, dashboard_address="127.0.0.1:0"
    ) as empty:
        settings = {"scheduler": empty.scheduler_address}
        with pytest.raises(MachineError, match=r"no worker of Dask was at tcp://127.0.0.1"):
            next(
                execute(print, [tmp_path], Conditions(settings=settings, folder=tmp_path / "own"))
            )


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
def test_a_cluster_that_a_user_started_obeys_the_laws(tmp_path, cluster):
    check_tries(execute, tmp_path, {"scheduler": cluster.address})


@pytest.mark.slow
def test_work_has_ended_on_the_workers_when_the_batch_is_closed(tmp_path, cluster):
    scans = [tmp_path / "slow", tmp_path / "first"]
    conditions = Conditions(2, settings={"scheduler": cluster.address}, folder=tmp_path / "own")
    ended, start = execute(partial(work, tmp_path), scans, conditions), time.monotonic()
    assert next(ended)[0].name == "first"
    assert cluster.at_work()
    ended.close()
    assert time.monotonic() - start < 100.0
    assert not cluster.at_work()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills with a POSIX signal")
def test_workers_that_vanish_and_a_scheduler_that_restarts_lose_no_scan(tmp_path, cluster):
    scans = [tmp_path / f"{n}" for n in range(40)]
    settings = {"scheduler": cluster.address}
    conditions = Conditions(2, settings=settings, folder=tmp_path / "own")
    found = []
    for scan, failure in execute(partial(slept, tmp_path, 0.1), scans, conditions):
        found.append((scan, failure))
        if len(found) == 5:  # a node vanishes: worker, its nanny and all
            cluster.kill("worker-1")
        if len(found) == 10:  # the worker alone: its nanny starts another
            cluster.workers()[0].kill()
        if len(found) == 15:  # what manages the cluster starts it again, with workers
            cluster.kill("scheduler")
            cluster.start_scheduler()
            cluster.begin_worker("worker-2")
    check_done(tmp_path, found, scans)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills with a POSIX signal")
def test_a_scan_that_always_kills_its_worker_is_set_aside_and_named(tmp_path, cluster):
    scans = [tmp_path / name for name in ("first", "deadly", "second")]
    settings = {"scheduler": cluster.address}
    conditions = Conditions(2, tries=2, settings=settings, folder=tmp_path / "own")
    ended = {s.name: f for s, f in execute(partial(work, tmp_path), scans, conditions)}
    assert ended.pop("deadly").sentence == "its worker was lost; set aside after 2 tries"
    assert ended == {"first": None, "second": None}
    assert (tmp_path / "begun").read_text().split().count("deadly") == 2
