import json

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from inversesr import resources as machine
from inversesr.cli.app import app
from inversesr.cli.explain import advice_on_threads, duration


@pytest.fixture
def scan(tmp_path):
    data = np.random.default_rng(0).uniform(50, 100, (24, 20, 8)).astype(np.float32)
    image = nibabel.Nifti1Image(data, np.diag([1.0, 1.0, 4.0, 1.0]))
    nibabel.save(image, tmp_path / "scan.nii.gz")
    return tmp_path / "scan.nii.gz"


def explain(*arguments):
    return CliRunner().invoke(app, ["run", "--explain", "--threads", "1", *map(str, arguments)])


def test_a_plan_is_told_in_words_and_nothing_is_written(scan):
    result = explain(scan, "--thickness", "3")
    assert result.exit_code == 0, result.output
    for words in (
        "24 x 20 x 8 voxels",
        "24 x 20 x 32 voxels",
        "thickness 3 mm",
        "diffusion",
        "are free",
    ):
        assert words in result.stdout
    assert "less than a brain" in result.stderr
    assert [path.name for path in scan.parent.iterdir()] == ["scan.nii.gz"]


def test_a_plan_names_files_that_are_in_the_way(scan):
    scan.with_name("scan_desc-sr.json").write_text("{}")
    told = explain(scan, "--solver", "spline").stdout
    (line,) = [line for line in told.splitlines() if "--force" in line]
    assert "scan_desc-sr.json" in line


def test_a_plan_of_the_spline_says_that_it_is_not_made_consistent(scan):
    assert "data:    off" in explain(scan, "--solver", "spline").stdout


def test_a_plan_of_several_scans_estimates_their_fusion(scan, tmp_path):
    second = tmp_path / "second.nii.gz"
    second.write_bytes(scan.read_bytes())
    shown = explain(scan, second, "--mask", scan).stdout
    assert "fused from 2 scans" in shown
    assert "present speed" in shown
    assert "not known" not in shown


def test_a_plan_without_an_estimate_says_why(scan, tmp_path):
    image = nibabel.load(scan)
    moved = image.affine + np.array([[0, 0, 0, 500.0]] + [[0] * 4] * 3)
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(), moved), tmp_path / "far.nii.gz")
    assert "hardly overlap" in explain(scan, tmp_path / "far.nii.gz").stdout


def test_a_plan_as_json_is_one_object(scan):
    found = json.loads(explain(scan, "--json", "--solver", "tv").stdout)
    assert found["output"]["shape"] == [24, 20, 32]
    assert found["seconds"] > 0
    assert found["memory_bytes"] > 0


def test_a_scan_that_cannot_be_used_ends_with_one_sentence(tmp_path):
    result = explain(tmp_path / "none.nii.gz")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (47.4, "47 s"), (200.0, "3 minutes"), (3 * 3600.0, "3.0 hours")],
)
def test_a_time_is_told_as_exactly_as_it_is_known(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("n_busy", "n_cores", "advised"),
    [(1, 2, "--threads 1"), (2, 2, "--threads 1"), (3, 8, "--threads 5")],
)
def test_busy_cores_are_left_to_others(monkeypatch, n_busy, n_cores, advised):
    monkeypatch.setattr(machine.os, "cpu_count", lambda: n_cores)
    monkeypatch.setattr(machine, "usable_cores", lambda: n_cores)
    assert advised in advice_on_threads(n_busy)
