"""A node among real programs: dcmtk's sender and mover, Orthanc, a full disk, kill -9."""

import re
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from inversesr.io.dicom.privacy import identity_of
from tests.support.dicom import header, write
from tests.support.nodes import (
    HERE,
    ROOT,
    Archive,
    free_port,
    node,
    node_command,
    send,
    small_head,
    status_of,
    wait_for,
)
from tests.support.orthanc import needs_orthanc, orthanc

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("sockets"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
needs_dcmtk = pytest.mark.skipif(
    shutil.which("storescu") is None, reason="needs dcmtk: storescu, echoscu, movescu"
)


def dcmtk(program, port, *arguments, title="SCANNER", called="INVERSESR"):
    """Run a program of dcmtk; return its exit status and what it said."""
    command = [program, "-aet", title, "-aec", called, HERE, str(port), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def count(queue, name):
    return status_of(queue)[0]["series"][name]


@needs_dcmtk
def test_programs_of_dcmtk_are_answered(tmp_path):
    folder = write(tmp_path / "in", small_head())
    with node(tmp_path / "queue", log=tmp_path / "log") as (port, _):
        assert dcmtk("echoscu", port)[0] == 0
        assert dcmtk("echoscu", port, title="NOBODY")[0] != 0
        status, told = dcmtk("echoscu", port, called="OTHER")
        assert status != 0
        assert "Called AE Title Not Recognized" in told
        assert dcmtk("storescu", port, "+sd", folder)[0] == 0
        assert dcmtk("storescu", port, "+sd", folder, title="NOBODY")[0] != 0
        assert status_of(tmp_path / "queue")[0]["instances"] == 6
    log = (tmp_path / "log").read_text()
    assert log.count("rejected") == 3


@needs_dcmtk
@needs_orthanc
def test_a_series_goes_from_orthanc_through_the_node_and_back(tmp_path):
    folder, queue = write(tmp_path / "in", small_head()), tmp_path / "queue"
    one = small_head()[0]
    port = free_port()
    known = {"node": ("INVERSESR", port), "scanner": ("SCANNER", free_port())}
    with orthanc(tmp_path / "orthanc", known) as archive:
        log = tmp_path / "log"
        with node(queue, allow=("ORTHANC",), forward=archive.told, log=log, port=port):
            assert dcmtk("storescu", archive.port, "+sd", folder, called="ORTHANC")[0] == 0
            keys = ("QueryRetrieveLevel=SERIES", f"StudyInstanceUID={one.StudyInstanceUID}",
                    f"SeriesInstanceUID={one.SeriesInstanceUID}")  # fmt: skip
            words = [word for key in keys for word in ("-k", key)]
            for _ in range(2):  # a series that is fetched twice is done once
                status, told = dcmtk(
                    "movescu", archive.port, "-S", "-aem", "INVERSESR", *words, called="ORTHANC"
                )
                assert status == 0, told
                assert wait_for(lambda: count(queue, "done") == 1, LONG_S), log.read_text()
            status, health = status_of(queue)[0], (queue / "health.json").read_text()
        found = archive.series()
        assert len(archive.get("/studies")) == 1
    assert found == {
        "T2 TSE axial": 6, "thin 7.2 mm T2 TSE axial NOT FOR DIAGNOSIS": 12,
    }  # fmt: skip
    written = f"{log.read_text()} {status} {health}".lower()
    said = set(re.findall(r"\w+", written))
    assert not identity_of(header()) & said


def oom_scores(pid):
    """How early the kernel ends a process, and its children, where memory runs out."""
    scores = []
    with suppress(OSError, psutil.Error):
        for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            scores.append(int(Path(f"/proc/{one.pid}/oom_score_adj").read_text()))
    return scores


def test_a_killed_node_goes_on_where_it_was(tmp_path):
    queue = tmp_path / "queue"
    with Archive() as archive:
        with node(queue, forward=archive.told) as (port, process):
            assert send(port, small_head()) == [0] * 6
            assert wait_for(lambda: 1000 in oom_scores(process.pid), LONG_S)
            assert oom_scores(process.pid)[0] < 1000
            assert count(queue, "working") == 1
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert status_of(queue)[1] == 1
        archive.stop()  # down while the node comes back
        with node(queue, forward=archive.told) as (port, process):
            assert wait_for(lambda: count(queue, "made") == 1, LONG_S)
            archive.start()
            assert wait_for(lambda: count(queue, "done") == 1, LONG_S)
            second = subprocess.run(
                [*node_command(queue, free_port()), "--allow", "A", "--forward", archive.told],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert (second.returncode, second.stderr.count("\n")) == (2, 1)
            assert f"in use by another node (process {process.pid})" in second.stderr
        assert set(archive.came.values()) == {1}
        assert len(archive.came) == 12


@contextmanager
def small_disk(folder, mebibytes):
    """Give a folder on a disk of its own."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("needs a tmpfs, and the right to mount it")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(tmp_path):
    with Archive() as archive, small_disk(tmp_path / "disk", 24) as disk:
        queue = disk / "queue"
        options = ("--reserve", str(4 / 1024))
        with node(queue, *options, forward=archive.told) as (port, _):
            ballast = disk / "ballast"
            ballast.write_bytes(bytes(21 << 20))
            assert set(send(port, small_head())) == {0xA700}
            assert status_of(queue)[1] == 1 or wait_for(lambda: status_of(queue)[1] == 1, 15)
            ballast.unlink()
            assert send(port, small_head()) == [0] * 6
            assert wait_for(lambda: count(queue, "done") == 1, LONG_S), status_of(queue)
            # without any reserve: what fits is confirmed and kept, what does not is refused
        with node(queue, "--reserve", "0", forward=archive.told) as (port, _):
            free = shutil.disk_usage(disk).free
            ballast.write_bytes(bytes(free - (96 << 10)))
            told = send(port, small_head(40, series="2"))
            assert told[0] == 0
            assert told[-1] == 0xA700
            n_kept = 6 + told.count(0)
            ballast.unlink()
            assert status_of(queue)[0]["instances"] == n_kept
            assert send(port, small_head(40, series="2")) == [0] * 40
            assert wait_for(lambda: count(queue, "done") == 2, LONG_S), status_of(queue)
        assert set(archive.came.values()) == {1}


# Works take seconds, and minutes where others keep the machine busy.
LONG_S = 300.0
# A clock of the day that a test sets: Python reads this when it starts.
CLOCK = """
import os, time
own = time.time
time.time = lambda: own() + float(open(os.environ["TEST_OFFSET"]).read())
"""


def test_a_jump_of_the_clock_changes_nothing(tmp_path):
    queue, offset = tmp_path / "queue", tmp_path / "offset"
    offset.write_text("0")
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    clock = {"TEST_OFFSET": str(offset), "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    with Archive() as archive:
        with node(queue, "--quiet", "4", forward=archive.told, **clock) as (port, _):
            for jump in ("3e7", "-3e7", "0"):
                head = small_head(6, series=jump)
                assert send(port, head[:3]) == [0] * 3
                offset.write_text(jump)
                time.sleep(2.0)
                # neither complete at once, nor in a year
                assert count(queue, "receiving") == 1
                assert send(port, head[3:]) == [0] * 3
                assert wait_for(lambda: count(queue, "receiving") == 0, 20)
                assert status_of(queue)[1] == 0
            assert wait_for(lambda: count(queue, "done") == 3, LONG_S), status_of(queue)
            assert status_of(queue)[0]["instances"] == 18  # kept for a day yet
        assert set(archive.came.values()) == {1}
