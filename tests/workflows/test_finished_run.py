import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan, write_volume
from inversesr.workflows import run as job
from inversesr.workflows.finished_run import explain_files, find_run, take_up
from inversesr.workflows.prepare import prepare
from inversesr.workflows.run import run_job
from tests.support.heads import head_volume
from tests.support.thin_slices import write_short_report

SPLINE = Config(solver="spline")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    volume = head_volume((20, 22, 6), (1.0, 1.0, 4.0), folds=4.0)
    write_volume(folder / "scan.nii.gz", volume, Scan.made_here(volume))
    (folder / "scan.json").write_text(json.dumps({"SliceThickness": 3.5}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "write_report", write_short_report)
        run_job([folder / "scan.nii.gz"], SPLINE, folder / "out")
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A scan, its sidecar, and in a folder below it what `run` made of it."""
    return shutil.copytree(made, tmp_path / "copy")


def change_record(folder, change):
    path = folder / "out" / "scan_desc-sr.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    return path


@pytest.mark.parametrize("name", ["scan_desc-sr.nii.gz", "scan_desc-sr.json"])
def test_a_run_is_taken_up_by_its_image_or_its_record(folder, name):
    run = take_up(folder / "out" / name)
    assert run.image == folder / "out" / "scan_desc-sr.nii.gz"
    assert run.solver == "spline"
    expected = prepare(run.scan, SPLINE).task
    assert run.task.acquisition.thickness_mm == 3.5
    x = torch.from_numpy(run.volume.data)
    torch.testing.assert_close(run.task.A(x), expected.A(x))
    torch.testing.assert_close(run.task.y, expected.y)


def test_the_thickness_is_that_which_the_run_found(folder):
    change_record(folder, lambda r: r["scans"][0]["acquisition"].update(thickness_mm=3.6))
    # the result still has to be the one of the record
    change_record(folder, lambda r: r["scans"][0]["agreement"].update(largest_share=0.05))
    try:
        found = take_up(folder / "out" / "scan_desc-sr.json").task.acquisition.thickness_mm
    except InputError as error:
        assert "its agreement" in str(error)  # noqa: PT017 (either way the figure was used)
    else:
        assert found == 3.6


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "scan.nii.gz").unlink(), "the scan scan.nii.gz is not beside"),
        (lambda f: (f / "scan.json").write_text("{}"), "the sidecar of scan.nii.gz has changed"),
        (lambda f: (f / "out" / "scan_desc-sr.nii.gz").unlink(), "is gone"),
        (lambda f: (f / "out" / "scan_desc-sr.json").write_text("{}"), "is no record of a run"),
        (lambda f: change_record(f, lambda r: r["inputs"].append({})), "fused from 2 scans"),
        (lambda f: change_record(f, lambda r: r["solver"].update(poses=[])), "the head moved"),
        (lambda f: change_record(f, lambda r: r.update(Heading="x")), "another command"),
    ],
    ids=["scan gone", "sidecar", "image gone", "record", "fused", "moved", "filled"],
)
def test_what_cannot_be_rebuilt_is_refused(folder, damage, words):
    damage(folder)
    with pytest.raises(InputError, match=words):
        take_up(folder / "out" / "scan_desc-sr.json")


def test_a_scan_that_has_changed_is_refused(folder):
    volume = head_volume((20, 22, 6), (1.0, 1.0, 4.0), seed=1, folds=4.0)
    write_volume(folder / "scan.nii.gz", volume, Scan.made_here(volume))
    with pytest.raises(InputError, match=r"scan.nii.gz has changed since the run"):
        take_up(folder / "out" / "scan_desc-sr.nii.gz")


def test_an_image_that_is_not_the_one_of_the_record_is_refused(folder):
    path = folder / "out" / "scan_desc-sr.nii.gz"
    run = take_up(path)
    other = run.volume.with_data(np.flip(run.volume.data, 0).copy())
    write_volume(path, other, run.scan)
    with pytest.raises(InputError, match="not the image that its record tells of"):
        take_up(path)


def test_a_scan_elsewhere_is_named(folder, tmp_path_factory):
    away = tmp_path_factory.mktemp("away")
    for name in ("scan.nii.gz", "scan.json"):
        shutil.move(folder / name, away / name)
    run = take_up(folder / "out" / "scan_desc-sr.json", away / "scan.nii.gz")
    assert run.scan.name == "scan"


@pytest.mark.parametrize(
    ("image", "report", "measured"),
    [
        ("a_desc-sr", "a_report.html", "a_desc-srmeasured_mask"),
        ("sub-1_desc-sr_T1w", "sub-1_T1w_report.html", "sub-1_desc-srmeasuredT1w_mask"),
        ("mine", "mine_report.html", "mine_desc-srmeasured_mask"),
    ],
)
def test_files_are_named_as_the_other_results_are(folder, tmp_path, image, report, measured):
    run = take_up(folder / "out" / "scan_desc-sr.json")
    named = replace(run, image=tmp_path / f"{image}.nii.gz", record={"files": {"report": report}})
    files = explain_files(named, tmp_path / "there")
    assert files.measured == tmp_path / "there" / f"{measured}.nii.gz"
    assert files.page.name == report.replace("_report", "_explain")
    assert files.record.name == files.page.name.replace(".html", ".json")
    assert explain_files(named, None).page.parent == tmp_path


def test_what_is_no_run_is_refused_by_its_name(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        find_run(tmp_path / "nothing.json")
