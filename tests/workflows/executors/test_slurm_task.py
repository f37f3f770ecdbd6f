import os
import signal
import subprocess
import sys
from functools import partial

import psutil
import pytest

from inversesr.workflows.executors.job_folder import JobFolder
from inversesr.workflows.executors.protocol import Conditions
from inversesr.workflows.executors.slurm_task import run_part
from tests.support.executor_laws import work
from tests.support.slurm import wait_until


def begun(tmp_path, names):
    folder = JobFolder(tmp_path / "jobs")
    folder.begin(partial(work, tmp_path), Conditions())
    folder.write_parts(1, dict(enumerate(tmp_path / name for name in names)), 1)
    return folder


def test_a_job_does_its_scans_and_notes_how_they_ended(tmp_path):
    names = ["first", "unusable", "unlucky"]
    folder = begun(tmp_path, names)
    run_part(folder, 1, 0)
    ended = dict(folder.new_results({0, 1, 2}))
    assert [ended[0], ended[2]] == [None, None]
    assert ended[1].is_unusable
    assert (tmp_path / "first").read_text() == "done"


def test_a_job_that_is_started_again_goes_on_where_it_was(tmp_path):
    folder = begun(tmp_path, ["first", "second"])
    folder.note_end(0, None)
    folder.note_begin(1)
    run_part(folder, 1, 0)
    assert not (tmp_path / "first").exists()
    assert (tmp_path / "second").read_text() == "done"


def test_a_scan_that_killed_its_job_each_time_is_set_aside(tmp_path):
    folder = begun(tmp_path, ["first"])
    for _ in range(3):
        folder.note_begin(0)
    run_part(folder, 1, 0)
    ((_, failure),) = folder.new_results({0})
    assert failure.sentence == "the job that worked on it was killed; set aside after 3 tries"
    assert not (tmp_path / "first").exists()


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_a_job_that_is_cancelled_ends_after_what_it_began(tmp_path):
    folder = begun(tmp_path, ["slow"])
    command = [sys.executable, "-m", "inversesr.workflows.executors.slurm_task"]
    environment = {**os.environ, "SLURM_ARRAY_TASK_ID": "0"}
    with subprocess.Popen([*command, str(folder.path), "1"], env=environment) as job:
        wait_until(lambda: copies_of(job.pid))
        (copy,) = copies_of(job.pid)
        job.send_signal(signal.SIGTERM)
        assert job.wait() == 143
    assert not copy.is_running() or copy.status() == psutil.STATUS_ZOMBIE


def copies_of(pid):
    """Return the processes that work on scans for a job."""
    below = psutil.Process(pid).children()
    return [copy for server in below for copy in server.children()]
