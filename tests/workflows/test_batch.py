import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.config import Config
from inversesr.errors import AccessError, InputError, MachineError
from inversesr.workflows import batch
from inversesr.workflows import run as job
from inversesr.workflows.batch import DONE, FAILED, KEPT, REFUSED, Batch, find_scans, run_batch
from inversesr.workflows.executors import local
from inversesr.workflows.executors.protocol import Failure
from tests.support.thin_slices import write_short_report

SPLINE = Config(solver="spline")


def write_scan(path, seed=0, spacing=4.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(seed).uniform(50, 100, (12, 11, 6)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(data, np.diag([1.0, 1.0, spacing, 1.0])), path)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two scans in different folders; what is meant for other processes stays in this one."""
    monkeypatch.setattr(local, "new_process", lambda: ThreadPoolExecutor(1))
    monkeypatch.setattr(job, "write_report", write_short_report)
    write_scan(tmp_path / "in" / "a.nii.gz")
    write_scan(tmp_path / "in" / "ward 3" / "b.nii", seed=1)
    return tmp_path / "in"


def statuses(entries):
    return {entry.scan: entry.status for entry in entries}


def stamps(output):
    return {path: path.stat().st_mtime_ns for path in output.rglob("*.nii.gz")}


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_results_lie_in_the_folders_of_their_scans(folder, tmp_path, n_jobs):
    out = tmp_path / "out"
    before = sorted(folder.rglob("*"))
    entries = run_batch(Batch(folder, out, SPLINE, n_jobs=n_jobs))
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


def test_what_is_done_is_kept_and_what_is_new_is_done(folder, tmp_path):
    out = tmp_path / "out"
    run_batch(Batch(folder, out, SPLINE))
    first = stamps(out)
    write_scan(folder / "c.nii.gz", seed=2)
    entries = run_batch(Batch(folder, out, SPLINE))
    assert statuses(entries) == {"a.nii.gz": KEPT, "c.nii.gz": DONE, "ward 3/b.nii": KEPT}
    assert {path: t for path, t in stamps(out).items() if path in first} == first
    assert entries[0].solver == "spline"


def test_results_of_other_options_or_of_another_scan_are_not_taken_for_done(folder, tmp_path):
    out = tmp_path / "out"
    run_batch(Batch(folder, out, SPLINE))
    first = stamps(out)
    other = run_batch(Batch(folder, out, Config(solver="spline", spacing_mm=2.0)))
    assert set(statuses(other).values()) == {REFUSED}
    assert "--force" in other[0].reason
    write_scan(folder / "a.nii.gz", seed=9)
    again = run_batch(Batch(folder, out, SPLINE))
    assert statuses(again) == {"a.nii.gz": REFUSED, "ward 3/b.nii": KEPT}
    assert stamps(out) == first
    forced = run_batch(Batch(folder, out, SPLINE, force=True))
    assert set(statuses(forced).values()) == {DONE}
    assert all(t > first[path] for path, t in stamps(out).items())


def test_a_solver_that_was_named_is_not_one_that_was_chosen(folder, tmp_path):
    # these few slices are restored by tv if nothing is named
    out = tmp_path / "out"
    only_a = Batch(folder, out, Config(), ["a.nii.gz"])
    (chosen,) = run_batch(only_a)
    named = Batch(folder, out, Config(solver=chosen.solver), ["a.nii.gz"])
    assert statuses(run_batch(only_a)) == {"a.nii.gz": KEPT}
    assert statuses(run_batch(named)) == {"a.nii.gz": REFUSED}


def test_threads_are_no_reason_to_do_it_again(folder, tmp_path):
    out = tmp_path / "out"
    run_batch(Batch(folder, out, Config(solver="spline", threads=1)))
    entries = run_batch(Batch(folder, out, Config(solver="spline", threads=2)))
    assert set(statuses(entries).values()) == {KEPT}


def test_results_of_an_earlier_version_are_kept(folder, tmp_path):
    # their records have the names that solver and choices had
    out = tmp_path / "out"
    config = Config(solver="unet", settings=("solver.adapt_steps=0",))
    (entry,) = run_batch(Batch(folder, out, config, ["a.nii.gz"]))
    assert entry.status == DONE
    file = out / entry.image.replace(".nii.gz", ".json")
    record = json.loads(file.read_text())
    record["config"]["lock"] = record["config"].pop("consistency")
    record["config"]["solver"] = record["solver"]["used"] = "warmstart"
    file.write_text(json.dumps(record))
    table = out / "batch.csv"
    table.write_text(table.read_text().replace(",unet,", ",warmstart,"))
    (kept,) = run_batch(Batch(folder, out, config, ["a.nii.gz"]))
    assert (kept.status, kept.solver) == (KEPT, "unet")
    run_batch(Batch(folder, out, config, ["*/b.nii"]))
    assert "warmstart" not in table.read_text()


def test_a_sidecar_that_came_later_is_a_reason_to_do_it_again(folder, tmp_path):
    out = tmp_path / "out"
    run_batch(Batch(folder, out, SPLINE))
    (folder / "a.json").write_text('{"SliceThickness": 3.0}')
    assert statuses(run_batch(Batch(folder, out, SPLINE)))["a.nii.gz"] == REFUSED
    run_batch(Batch(folder, out, SPLINE, force=True))
    assert statuses(run_batch(Batch(folder, out, SPLINE)))["a.nii.gz"] == KEPT


def test_a_sidecar_above_the_scan_that_changed_is_a_reason_to_do_it_again(tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    (data / "sub-01" / "anat").mkdir(parents=True)
    (data / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.8.0"}')
    write_scan(data / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    (data / "T1w.json").write_text('{"SliceThickness": 3.0}')
    (first,) = run_batch(Batch(data, out, SPLINE))
    record = json.loads((out / first.image.replace(".nii.gz", ".json")).read_text())
    assert record["scans"][0]["acquisition"]["thickness_mm"] == 3.0
    ((facts,),) = record["sidecars"]
    assert facts["name"] == "../../T1w.json"
    assert statuses(run_batch(Batch(data, out, SPLINE))) == {first.scan: KEPT}
    (data / "T1w.json").write_text('{"SliceThickness": 3.5}')
    assert statuses(run_batch(Batch(data, out, SPLINE))) == {first.scan: REFUSED}


def test_another_prior_of_the_same_name_is_a_reason_to_do_it_again(folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    config = Config(solver="unet", settings=("solver.adapt_steps=0",))
    only_a = Batch(folder, out, config, ["a.nii.gz"])
    run_batch(only_a)
    assert statuses(run_batch(only_a)) == {"a.nii.gz": KEPT}
    monkeypatch.setattr(batch, "digest", lambda _path: "another")
    assert statuses(run_batch(only_a)) == {"a.nii.gz": REFUSED}


@pytest.mark.parametrize("name", ["a_desc-sr.nii.gz"])
def test_a_result_that_is_not_whole_is_not_kept(folder, tmp_path, name):
    out = tmp_path / "out"
    run_batch(Batch(folder, out, SPLINE))
    (out / name).unlink()
    assert statuses(run_batch(Batch(folder, out, SPLINE)))["a.nii.gz"] == REFUSED


def test_rows_of_earlier_batches_stay_in_the_table(folder, tmp_path):
    out = tmp_path / "out"
    run_batch(Batch(folder, out, SPLINE, ["a.nii.gz"]))
    entries = run_batch(Batch(folder, out, SPLINE, ["b.nii"]))
    assert statuses(entries) == {"ward 3/b.nii": DONE}
    with (out / "batch.csv").open(newline="") as file:
        rows = {row["scan"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["a.nii.gz", "ward 3/b.nii"]
    assert float(rows["a.nii.gz"]["seconds"]) > 0.0


def test_a_table_of_something_else_is_not_replaced(folder, tmp_path):
    (tmp_path / "out").mkdir()
    table = tmp_path / "out" / "batch.csv"
    table.write_text("mine\n1\n")
    with pytest.raises(InputError, match="no table of a batch"):
        run_batch(Batch(folder, tmp_path / "out", SPLINE))
    assert table.read_text() == "mine\n1\n"


def test_results_of_another_batch_among_the_scans_are_not_scans(folder):
    run_batch(Batch(folder, folder / "coarse", Config(solver="spline", spacing_mm=2.0)))
    entries = run_batch(Batch(folder, folder / "fine", SPLINE))
    assert statuses(entries) == {"a.nii.gz": DONE, "ward 3/b.nii": DONE}


def test_links_are_followed_once_and_a_dead_one_is_told(folder, tmp_path):
    (folder / "again").symlink_to(folder / "ward 3")
    (folder / "loop").symlink_to(folder)
    (folder / "dead.nii.gz").symlink_to(folder / "nowhere.nii.gz")
    entries = run_batch(Batch(folder, tmp_path / "out", SPLINE))
    found = {entry.scan: entry for entry in entries}
    assert [e.status for e in entries if Path(e.scan).name.startswith("b")] == [DONE]
    assert found["dead.nii.gz"].status == REFUSED
    assert "does not exist" in found["dead.nii.gz"].reason


def test_a_name_that_is_no_text_is_a_row(folder, tmp_path):
    name = os.fsdecode(b"M\xfcller.nii.gz")
    try:
        (folder / name).write_bytes(b"no image")
    except OSError:
        pytest.skip("names of files are text here")
    entries = run_batch(Batch(folder, tmp_path / "out", SPLINE))
    assert [e.status for e in entries].count(REFUSED) == 1
    assert "M\\udcfcller" in (tmp_path / "out" / "batch.csv").read_text()


@pytest.mark.parametrize(("n_jobs", "n_threads"), [(1, 4), (2, 2), (9, 1)])
def test_each_scan_gets_its_share_of_the_cores(folder, tmp_path, monkeypatch, n_jobs, n_threads):
    monkeypatch.setattr(batch, "usable_cores", lambda: 4)
    monkeypatch.setattr(batch.torch, "get_num_threads", lambda: 4)
    out = tmp_path / "out"
    (entry,) = run_batch(Batch(folder, out, SPLINE, ["a.nii.gz"], n_jobs))
    record = json.loads((out / entry.image.replace(".nii.gz", ".json")).read_text())
    assert record["config"]["threads"] == n_threads


@pytest.mark.parametrize(
    "left",
    ["", "{", "[]", "{}", '{"config": null, "requested_solver": 1}', '{"GeneratedBy": []}'],
)
def test_a_damaged_record_is_not_taken_for_a_result(folder, tmp_path, left):
    out = tmp_path / "out"
    run_batch(Batch(folder, out, SPLINE))
    (out / "a_desc-sr.json").write_text(left)
    assert statuses(run_batch(Batch(folder, out, SPLINE)))["a.nii.gz"] == REFUSED


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
    errors = iter([BrokenProcessPool(), ValueError("a bug")])

    def die(_batch, _scan):
        raise next(errors)

    monkeypatch.setattr(batch, "_restore", die)
    entries = run_batch(Batch(folder, tmp_path / "out", SPLINE))
    assert [entry.status for entry in entries] == [FAILED, FAILED]
    assert entries[0].reason.startswith("the process was killed")
    assert entries[1].reason == "ValueError: a bug"


def test_the_work_is_carried_out_by_the_executor_that_is_named(folder, tmp_path, monkeypatch):
    asked = []

    def execute(_work, scans, n_jobs):
        asked.append((list(scans), n_jobs))
        for scan in scans:
            yield scan, Failure("no machine is free", is_unusable=False)

    monkeypatch.setattr(batch, "executor_of", lambda name: asked.append(name) or execute)
    entries = run_batch(Batch(folder, tmp_path / "out", SPLINE, n_jobs=3, executor="far away"))
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


def test_results_among_the_scans_are_not_taken_for_scans(folder):
    inside = folder / "results"
    first = run_batch(Batch(folder, inside, SPLINE))
    second = run_batch(Batch(folder, inside, SPLINE))
    assert statuses(second) == dict.fromkeys(statuses(first), KEPT)
    beside = run_batch(Batch(folder, folder, SPLINE, ["a.nii.gz"]))
    assert statuses(beside) == {"a.nii.gz": DONE}
    assert [p.name for p in find_scans(folder, without=inside)] == ["a.nii.gz", "b.nii"]


def test_results_by_other_names_are_not_taken_for_scans(folder):
    job.run_job([folder / "a.nii.gz"], SPLINE, folder / "thin.nii.gz")
    assert [p.name for p in find_scans(folder)] == ["a.nii.gz", "b.nii"]
    (folder / "thin.json").write_text('{"files": {"image": "a.nii.gz"}, "SliceThickness": 3}')
    assert [p.name for p in find_scans(folder)] == ["a.nii.gz", "thin.nii.gz", "b.nii"]


def test_the_results_of_a_batch_do_not_go_into_one_image(folder, tmp_path):
    with pytest.raises(InputError, match="expected a folder for all results"):
        Batch(folder, tmp_path / "out.nii.gz", SPLINE)
    with pytest.raises(InputError, match="format that is not written"):
        Batch(folder, tmp_path / "out.mgz", SPLINE)


def test_results_may_go_into_a_folder_above_that_of_the_scans(folder):
    entries = run_batch(Batch(folder / "ward 3", folder, SPLINE))
    assert statuses(entries) == {"b.nii": DONE}


def test_of_a_bids_dataset_the_anatomical_scans_are_taken(folder, tmp_path):
    root = tmp_path / "bids"
    told = {"Name": "Ward", "BIDSVersion": "1.9.0"}
    for name in (
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz",
        "sub-01/anat/sub-01_desc-brain_mask.nii.gz",
        "sub-01/func/sub-01_task-rest_bold.nii.gz",
        "derivatives/x/sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/.hidden_T1w.nii.gz",
    ):
        write_scan(root / name)
    (root / "dataset_description.json").write_text(json.dumps(told))
    found = [str(path.relative_to(root)) for path in find_scans(root)]
    assert found == ["sub-01/anat/sub-01_T1w.nii.gz", "sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz"]
    out = root / "derivatives" / "inversesr"
    (entry,) = run_batch(Batch(root, out, SPLINE, ["*_T1w.nii.gz"]))
    assert entry.image == "sub-01/anat/sub-01_desc-sr_T1w.nii.gz"
    made = json.loads((out / "dataset_description.json").read_text())
    assert (made["DatasetType"], made["BIDSVersion"]) == ("derivative", "1.9.0")
    assert made["GeneratedBy"][0]["Name"] == "inversesr"
    run_batch(Batch(folder, tmp_path / "plain", SPLINE))
    assert not (tmp_path / "plain" / "dataset_description.json").exists()


@pytest.mark.parametrize("is_bids", [False, True])
def test_masks_label_maps_and_phases_are_no_scans(tmp_path, is_bids):
    anat = tmp_path / "sub-01" / "anat"
    anat.mkdir(parents=True)
    for name in (
        "sub-01_T1w", "sub-01_part-mag_T2w", "sub-01_part-phase_T2w", "sub-01_part-real_T2w",
        "sub-01_part-imag_T2w", "sub-01_dseg", "sub-01_label-GM_probseg", "sub-01_desc-brain_mask",
        "lesion_mask", "brain_seg", "aparc+aseg", "head_ph",
    ):  # fmt: skip
        (anat / f"{name}.nii.gz").touch()
    if is_bids:
        (tmp_path / "dataset_description.json").write_text("{}")
    found = [path.name for path in find_scans(tmp_path)]
    assert found == ["sub-01_T1w.nii.gz", "sub-01_part-mag_T2w.nii.gz"]
    with pytest.raises(InputError, match="not called a mask"):
        find_scans(tmp_path, ["*_mask.nii.gz"])


@pytest.mark.parametrize(
    ("patterns", "n"), [([], 2), (["*.nii"], 1), (["ward */*"], 1), (["a*", "b*"], 2)]
)
def test_patterns_say_how_paths_end(folder, patterns, n):
    assert len(find_scans(folder, patterns)) == n


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
        [*command, "--jobs", "2"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as running:
        running.stderr.readline()  # the first is done
        start = time.monotonic()
        running.send_signal(signal.SIGINT)
        told = running.stderr.read()
        assert running.wait() == 130
    assert time.monotonic() - start < 10.0
    assert told.splitlines()[-1] == "inversesr: interrupted"
    assert "Traceback" not in told
    done = stamps(tmp_path / "out")
    assert 1 <= len(done) < 8
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    after = stamps(tmp_path / "out")
    assert len(after) == 8
    assert {path: after[path] for path in done} == done
    assert not list(Path(tmp_path / "out").glob(".inversesr-partial-*"))


def write_pair(path, seed=0):
    """A header and voxels in files of their own; returns the header."""
    data = np.random.default_rng(seed).uniform(50, 100, (12, 11, 6)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Pair(data, np.diag([1.0, 1.0, 4.0, 1.0])), path)
    return path.with_suffix(".hdr")


def test_a_pair_of_files_is_one_scan(tmp_path):
    write_pair(tmp_path / "in" / "a.img")
    assert [path.name for path in find_scans(tmp_path / "in")] == ["a.hdr"]


def test_other_voxels_in_a_pair_are_another_scan(folder, tmp_path):
    write_pair(folder / "pair.img")
    run_batch(Batch(folder, tmp_path / "out", SPLINE))
    assert statuses(run_batch(Batch(folder, tmp_path / "out", SPLINE)))["pair.hdr"] == KEPT
    write_pair(folder / "pair.img", seed=5)
    again = statuses(run_batch(Batch(folder, tmp_path / "out", SPLINE, force=True)))
    assert again["pair.hdr"] == DONE
    write_pair(folder / "pair.img", seed=6)
    assert statuses(run_batch(Batch(folder, tmp_path / "out", SPLINE)))["pair.hdr"] != KEPT


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
