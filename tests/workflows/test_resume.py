import json

import pytest

from inversesr.config import Config
from inversesr.workflows import resume
from inversesr.workflows.batch import Batch, run_batch
from inversesr.workflows.batch_table import DONE, KEPT, REFUSED
from tests.support.batches import SPLINE, stamps, statuses, write_pair, write_scan


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
    monkeypatch.setattr(resume, "digest", lambda _path: "another")
    assert statuses(run_batch(only_a)) == {"a.nii.gz": REFUSED}


@pytest.mark.parametrize("name", ["a_desc-sr.nii.gz"])
def test_a_result_that_is_not_whole_is_not_kept(folder, tmp_path, name):
    out = tmp_path / "out"
    run_batch(Batch(folder, out, SPLINE))
    (out / name).unlink()
    assert statuses(run_batch(Batch(folder, out, SPLINE)))["a.nii.gz"] == REFUSED


@pytest.mark.parametrize(
    "left",
    ["", "{", "[]", "{}", '{"config": null, "requested_solver": 1}', '{"GeneratedBy": []}'],
)
def test_a_damaged_record_is_not_taken_for_a_result(folder, tmp_path, left):
    out = tmp_path / "out"
    run_batch(Batch(folder, out, SPLINE))
    (out / "a_desc-sr.json").write_text(left)
    assert statuses(run_batch(Batch(folder, out, SPLINE)))["a.nii.gz"] == REFUSED


def test_other_voxels_in_a_pair_are_another_scan(folder, tmp_path):
    write_pair(folder / "pair.img")
    run_batch(Batch(folder, tmp_path / "out", SPLINE))
    assert statuses(run_batch(Batch(folder, tmp_path / "out", SPLINE)))["pair.hdr"] == KEPT
    write_pair(folder / "pair.img", seed=5)
    again = statuses(run_batch(Batch(folder, tmp_path / "out", SPLINE, force=True)))
    assert again["pair.hdr"] == DONE
    write_pair(folder / "pair.img", seed=6)
    assert statuses(run_batch(Batch(folder, tmp_path / "out", SPLINE)))["pair.hdr"] != KEPT
