import json

import pytest
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.io.nifti import Scan, write_volume
from tests.support.heads import head_volume


def call(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def result(tmp_path, monkeypatch):
    monkeypatch.setattr("inversesr.workflows.explain.has_deepbet", lambda: False)
    volume = head_volume((20, 22, 6), (1.0, 1.0, 4.0), folds=4.0)
    write_volume(tmp_path / "scan.nii.gz", volume, Scan.made_here(volume))
    told = call("run", tmp_path / "scan.nii.gz", "--solver", "spline")
    assert told.exit_code == 0, told.output
    assert "inversesr explain scan_desc-sr.nii.gz" in (tmp_path / "scan_report.html").read_text()
    return tmp_path / "scan_desc-sr.nii.gz"


def test_a_result_is_explained_in_files_and_in_lines(result):
    told = call("explain", result)
    assert told.exit_code == 0, told.output
    assert "of the detail was measured" in told.stdout
    assert "what the scan leaves open is not told" in told.stderr
    names = {p.name for p in result.parent.iterdir()}
    assert {"scan_explain.html", "scan_explain.json", "scan_desc-srmeasured_mask.nii.gz"} <= names


def test_one_json_object_tells_all(result, tmp_path):
    told = call("explain", result.with_name("scan_desc-sr.json"), "-o", tmp_path / "x", "--json")
    record = json.loads(told.stdout)
    assert set(record["outputs"]) == {"page", "record", "measured"}
    assert record["regions"]["whole image"]["n_voxels"] == 20 * 22 * 24


def test_a_result_whose_scan_changed_is_refused_with_status_2(result):
    with result.with_name("scan.nii.gz").open("ab") as file:
        file.write(b"\0")
    told = call("explain", result)
    assert told.exit_code == 2
    assert "has changed since the run" in told.stderr
    assert told.stderr.count("\n") == 1


def test_what_is_no_result_is_refused_with_status_2(result):
    told = call("explain", result.with_name("scan.nii.gz"))
    assert told.exit_code == 2
    assert "is no record of a run" in told.stderr
