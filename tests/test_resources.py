import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from inversesr import resources as machine
from inversesr.errors import MachineError


@pytest.fixture
def container(tmp_path, monkeypatch):
    """A made-up container: call it with a limit and what is used."""
    monkeypatch.setattr(machine, "CGROUPS", ((tmp_path, "limit", "usage", "cached"),))

    def write(limit_text, usage_text, stat_text=""):
        (tmp_path / "limit").write_text(limit_text)
        (tmp_path / "usage").write_text(usage_text)
        (tmp_path / "memory.stat").write_text(stat_text)

    return write


def test_without_a_container_the_machine_decides(container):  # noqa: ARG001 (files left unwritten)
    expected = psutil.virtual_memory().available
    assert machine.available_memory_bytes() == pytest.approx(expected, rel=0.3)


def test_a_container_with_less_memory_decides(container):
    container("5000\n", "2000\n")
    assert machine.available_memory_bytes() == 3000


def test_files_that_were_read_do_not_count_as_used(container):
    container("5000\n", "4500\n", "anon 300\ncached 4000\n")
    assert machine.available_memory_bytes() == 4500


def test_a_container_without_a_limit_does_not_count(container):
    container("max\n", "2000\n")
    assert machine.available_memory_bytes() > 10_000


def test_a_container_over_its_limit_has_nothing_left(container):
    container("1000", "2000")
    assert machine.available_memory_bytes() == 0


@pytest.fixture
def quota(tmp_path, monkeypatch):
    """A made-up limit of processor time, in one file or in two; 8 cores are there."""
    one, two = (tmp_path / "max",), (tmp_path / "quota", tmp_path / "period")
    monkeypatch.setattr(machine, "CPU_QUOTAS", (one, two))
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)

    def write(*texts):
        for path, text in zip(one if len(texts) == 1 else two, texts, strict=True):
            path.write_text(text)

    return write


@pytest.mark.parametrize(
    ("texts", "n"),
    [
        (["200000 100000\n"], 2),
        (["250000 100000\n"], 2),
        (["50000 100000\n"], 1),
        (["max 100000\n"], 8),
        (["9900000 100000\n"], 8),
        (["400000\n", "100000\n"], 4),
        (["-1\n", "100000\n"], 8),
        (["what\n", "0\n"], 8),
    ],
)
def test_a_container_with_less_time_than_cores_decides(quota, texts, n):
    quota(*texts)
    assert machine.usable_cores() == n


@pytest.mark.usefixtures("quota")
def test_without_a_quota_the_cores_of_the_process_count():
    assert machine.usable_cores() == 8


@pytest.mark.parametrize(("n_busy", "n"), [(0, 4), (10, 4), (14, 2), (16, 1), (99, 1)])
def test_a_share_of_a_large_machine_is_left_while_others_leave_it(monkeypatch, n_busy, n):
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(machine, "usable_cores", lambda: 4)
    assert machine.cores_left(n_busy) == n


def test_the_peak_is_in_bytes_and_never_falls():
    before = machine.peak_memory_bytes()
    assert before > 10 * 2**20
    assert before >= psutil.Process().memory_info().rss * 0.5
    block = np.ones(2**20)
    assert machine.peak_memory_bytes() >= before
    del block
    assert machine.peak_memory_bytes() >= before


def test_the_peak_of_a_process_is_told_by_the_kernel_where_it_can(tmp_path, monkeypatch):
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t  900 kB\nVmHWM:\t  300 kB\n")
    monkeypatch.setattr(machine, "PROCESS_STATUS", status)
    assert machine.peak_memory_bytes() == 300 * 1024


def test_the_peak_is_converted_to_bytes_on_every_system(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "PROCESS_STATUS", tmp_path / "missing")
    monkeypatch.setattr(sys, "platform", "linux")
    in_linux = machine.peak_memory_bytes()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert in_linux == pytest.approx(1024 * machine.peak_memory_bytes(), rel=0.05)


def test_sizes_are_told_in_gibibytes():
    assert machine.gibibytes(1.5 * 2**30) == "1.5 GiB"


def test_the_age_of_a_process_is_counted_from_its_start():
    code = "import time, inversesr.resources as m; time.sleep(1.5); print(m.process_seconds())"
    before = time.perf_counter()
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    # the system knows when it was started in whole seconds
    assert 0.4 < float(found.stdout) < time.perf_counter() - before + 1.1


@pytest.mark.parametrize(("shares", "n_busy"), [((3.0, 12.0), 0), ((99.0, 12.0, 70.0), 2)])
def test_cores_that_others_use_are_counted(monkeypatch, shares, n_busy):
    monkeypatch.setattr(psutil, "cpu_percent", lambda _seconds, percpu: list(shares) * percpu)
    assert machine.busy_cores() == n_busy


def test_more_threads_than_a_machine_can_run_are_its_fault_and_told_before_any_work(monkeypatch):
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 2)
    with pytest.raises(MachineError, match=r"100000 threads cannot be run .* of 2 cores"):
        machine.set_threads(100_000)
