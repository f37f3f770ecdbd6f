import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import nibabel
import pytest
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.errors import AccessError, InputError, MachineError
from inversesr.io.atomic import PARTIAL_PREFIX
from inversesr.workflows import batch
from inversesr.workflows.batch import Batch, run_batch
from inversesr.workflows.batch_table import DONE, FAILED, REFUSED
from inversesr.workflows.executors.protocol import Conditions, Failure
from tests.support.batches import SPLINE, stamps, statuses, write_scan


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_results_lie_in_the_folders_of_their_scans(folder, tmp_path, n_jobs):
    out = tmp_path / "out"
    before = sorted(folder.rglob("*"))
    entries = run_batch(Batch(folder, out, SPLINE, conditions=Conditions(n_jobs)))
    assert statuses(entries) == {"a.nii.gz": DONE, "ward 3/b.nii": DONE}
    for entry in entries:
        assert nibabel.load(out / entry.image).shape == (12, 11, 24)
    assert [entry.image for entry in entries] == [
        "a_desc-sr.nii.gz",
        "ward 3/b_desc-sr.nii.gz",
    ]
    assert sorted(folder.rglob("*")) == before
    with (out / "batch.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["scan"] for row in rows] == ["a.nii.gz", "ward 3/b.nii"]
    assert float(rows[0]["seconds"]) > 0.0


@pytest.mark.parametrize(("n_jobs", "n_threads"), [(1, 4), (2, 2), (9, 1)])
def test_each_scan_gets_its_share_of_the_cores(folder, tmp_path, monkeypatch, n_jobs, n_threads):
    monkeypatch.setattr(batch, "usable_cores", lambda: 4)
    monkeypatch.setattr(batch.torch, "get_num_threads", lambda: 4)
    out = tmp_path / "out"
    (entry,) = run_batch(Batch(folder, out, SPLINE, ["a.nii.gz"], Conditions(n_jobs)))
    record = json.loads((out / entry.image.replace(".nii.gz", ".json")).read_text())
    assert record["config"]["threads"] == n_threads


def test_bad_scans_are_rows_with_a_reason_and_the_others_go_on(folder, tmp_path):
    (folder / "0.nii.gz").write_bytes(b"no image")
    write_scan(folder / "thin.nii.gz", spacing=1.0)
    entries = run_batch(Batch(folder, tmp_path / "out", SPLINE))
    found = {entry.scan: entry for entry in entries}
    assert [e.status for e in entries] == [REFUSED, DONE, REFUSED, DONE]
    assert "isotropic" in found["thin.nii.gz"].reason
    assert found["0.nii.gz"].reason
    assert found["0.nii.gz"].image == ""


def test_a_killed_process_or_a_bug_is_a_failure_and_the_others_go_on(
    folder, tmp_path, monkeypatch
):
    def die(_batch, scan):
        raise BrokenProcessPool if scan.name == "a.nii.gz" else ValueError("a bug")

    monkeypatch.setattr(batch, "_restore", die)
    entries = run_batch(Batch(folder, tmp_path / "out", SPLINE))
    assert [entry.status for entry in entries] == [FAILED, FAILED]
    assert entries[0].reason.startswith("the process was killed")
    assert entries[0].reason.endswith("set aside after 3 tries")
    assert entries[1].reason == "ValueError: a bug"


def test_the_work_is_carried_out_by_the_executor_that_is_named(folder, tmp_path, monkeypatch):
    asked = []

    def execute(_work, scans, conditions):
        asked.append((list(scans), conditions.n_jobs))
        for scan in scans:
            yield scan, Failure("no machine is free", is_unusable=False)

    monkeypatch.setattr(batch, "executor_of", lambda name: asked.append(name) or execute)
    entries = run_batch(
        Batch(folder, tmp_path / "out", SPLINE, (), Conditions(3), executor="far away")
    )
    assert asked[-1] == ([folder / "a.nii.gz", folder / "ward 3" / "b.nii"], 3)
    assert set(asked[:-1]) == {"far away"}
    assert {(entry.status, entry.reason) for entry in entries} == {(FAILED, "no machine is free")}


def test_an_unknown_executor_is_refused_before_any_work(folder, tmp_path):
    out = str(tmp_path / "out")
    result = CliRunner().invoke(app, ["batch", str(folder), "-o", out, "--executor", "moon"])
    assert result.exit_code == 2
    assert "executor is moon; expected local" in result.stderr
    assert not (tmp_path / "out").exists()


def test_two_scans_whose_results_would_have_one_name_are_not_mixed_up(folder, tmp_path):
    write_scan(folder / "a.nii", seed=3)
    entries = run_batch(Batch(folder, tmp_path / "out", SPLINE))
    assert [e.status for e in entries] == [DONE, REFUSED, DONE]
    assert "rename one" in entries[1].reason


def test_the_results_of_a_batch_do_not_go_into_one_image(folder, tmp_path):
    with pytest.raises(InputError, match="expected a folder for all results"):
        Batch(folder, tmp_path / "out.nii.gz", SPLINE)
    with pytest.raises(InputError, match="format that is not written"):
        Batch(folder, tmp_path / "out.mgz", SPLINE)


def test_results_may_go_into_a_folder_above_that_of_the_scans(folder):
    entries = run_batch(Batch(folder / "ward 3", folder, SPLINE))
    assert statuses(entries) == {"b.nii": DONE}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere"], "nowhere is not a folder"),
        (["in", "--pattern", "*.mgz"], "no image like *.mgz below in"),
        (["in", "--jobs", "0"], "jobs is 0"),
        (["in", "--pattern", ""], "a pattern is empty"),
        (["in", "--pattern", "sub-*/**/*.nii"], "has ** in it"),
        (["in", "--prior", "nowhere"], "prior 'nowhere' is not installed"),
        (["in", "--set", "solver.magic=1"], "expected solver.NAME=VALUE"),
        (["in", "--protect", "mask.nii.gz"], "--protect is the mask of one scan"),
        (["in", "--solver", "spline", "--set", "solver.n_steps=1"], "no effect on it"),
    ],
)
def test_bad_input_is_one_sentence_before_any_work(folder, monkeypatch, words, sentence):
    monkeypatch.chdir(folder.parent)
    result = CliRunner().invoke(app, ["batch", *words, "-o", "out"])
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (folder.parent / "out").exists()


def test_the_command_counts_and_its_status_tells_of_trouble(folder, tmp_path):
    words = ["batch", str(folder), "-o", str(tmp_path / "out"), "--solver", "spline"]
    first = CliRunner().invoke(app, words)
    assert (first.exit_code, first.stdout.splitlines()[0]) == (0, "2 done")
    assert "2/2 ward 3/b.nii: done" in first.stderr
    (folder / "0.nii.gz").write_bytes(b"no image")
    second = CliRunner().invoke(app, [*words, "--json"])
    assert second.exit_code == 1
    told = json.loads(second.stdout)
    assert told["counts"] == {"kept": 2, "refused": 1}
    assert [scan["status"] for scan in told["scans"]] == ["refused", "kept", "kept"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_an_interrupt_ends_all_processes_and_the_batch_can_go_on(tmp_path):
    for n in range(8):
        write_scan(tmp_path / "in" / f"{n}.nii.gz", n)
    command = [sys.executable, "-m", "inversesr", "batch", "in", "-o", "out", "--solver", "tv"]
    with subprocess.Popen(
        [*command, "--jobs", "2"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        running.stderr.readline()  # the first is done
        start = time.monotonic()
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        told = running.stderr.read()
        assert running.wait() == 130
    assert time.monotonic() - start < 20.0
    assert told.splitlines()[-1] == "inversesr: interrupted"
    assert "Traceback" not in told
    done = stamps(tmp_path / "out")
    assert 1 <= len(done) < 8
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    after = stamps(tmp_path / "out")
    assert len(after) == 8
    assert {path: after[path] for path in done} == done
    assert not list(Path(tmp_path / "out").glob(".inversesr-partial-*"))


def test_an_interrupted_batch_leaves_nothing_half_written(folder, tmp_path, monkeypatch):
    left = tmp_path / "out" / "ward 3" / f"{PARTIAL_PREFIX}of_a_killed_process"

    def execute(_work, _scans, _conditions):
        left.mkdir(parents=True)
        (left / "b_desc-sr.nii.gz").write_bytes(b"half")
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(batch, "executor_of", lambda _name: execute)
    with pytest.raises(KeyboardInterrupt):
        run_batch(Batch(folder, tmp_path / "out", SPLINE))
    assert not left.exists()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MachineError("a.nii.gz cannot be read now (Input/output error)"), FAILED),
        (AccessError("no permission to read a.nii.gz"), FAILED),
        (MemoryError(), FAILED),
        (OSError(errno.ESTALE, "Stale file handle"), FAILED),
        (RuntimeError("can't start new thread"), FAILED),
        (InputError("a.nii.gz is damaged"), REFUSED),
    ],
    ids=str,
)
def test_what_may_go_well_another_time_has_failed_and_is_not_refused(
    folder, tmp_path, monkeypatch, error, status
):
    def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(batch, "run_job", fail)
    entries = run_batch(Batch(folder, tmp_path / "out", SPLINE))
    assert [entry.status for entry in entries] == [status, status]
    assert all(entry.reason for entry in entries)
