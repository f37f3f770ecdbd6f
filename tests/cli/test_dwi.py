import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from inversesr.cli.app import app
from tests.support.diffusion import fine_head, thickened, write_series


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def scan(tmp_path):
    return write_series(tmp_path, thickened(fine_head((10, 10, 12), n=6, noise=8.0), 2))


def test_a_series_is_restored_without_naming_a_subcommand(scan):
    pytest.importorskip("dipy")
    found = invoke("dwi", scan, "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["outputs"]["image"].endswith("_desc-sr_dwi.nii.gz")


def test_run_names_the_command_for_a_diffusion_series(scan):
    found = invoke("run", scan)
    assert found.exit_code == 2
    assert "with `inversesr dwi` in place of `inversesr run`" in found.stderr


def test_what_does_not_fit_is_one_sentence_and_status_two(scan):
    (scan.parent / "sub-01_dwi.bval").write_text("0 1000")
    found = invoke("dwi", scan)
    assert found.exit_code == 2
    assert found.stderr.count("\n") == 1
    assert "has 2 b-values" in found.stderr


def test_too_few_cases_have_status_two(tmp_path):
    pytest.importorskip("sklearn")
    table = tmp_path / "table.csv"
    rows = [f"{k},{'ab'[k % 2]},{np.sin(k):.3f}" for k in range(20)]
    table.write_text("\n".join(["case,grade,x", *rows]))
    found = invoke("dwi", "grade", "train", table, "-o", tmp_path / "m.json")
    assert found.exit_code == 2
    assert "expected at least 30" in found.stderr


def test_files_and_the_largest_difference_are_told_in_words(scan):
    pytest.importorskip("dipy")
    found = invoke("dwi", scan)
    assert found.exit_code == 0, found.output
    *files, last = found.stdout.splitlines()
    assert "differs from the measured slices by at most" in last
    assert all(Path(line.split(": ")[1]).is_file() for line in files)


def test_a_grade_model_is_trained_told_with_its_card_and_predicts(tmp_path):
    pytest.importorskip("sklearn")
    table, model, csv = (tmp_path / name for name in ("table.csv", "model.json", "grades.csv"))
    rows = [f"{k},{'ab'[k % 2]},{k % 2 + np.sin(7.0 * k):.3f}" for k in range(40)]
    table.write_text("\n".join(["case,grade,x", *rows]))
    trained = invoke("dwi", "grade", "train", table, "-o", model, "--permutations", "0")
    assert trained.exit_code == 0, trained.output
    assert "not for diagnosis" in trained.stdout
    assert f"model: {model}" in trained.stdout
    told = invoke("dwi", "grade", "predict", model, table, "-o", csv)
    assert told.exit_code == 0, told.output
    assert told.stdout == f"40 cases: {csv}  (research only: not for diagnosis)\n"
    as_json = invoke("dwi", "grade", "predict", model, table, "-o", csv, "--force", "--json")
    assert len(json.loads(as_json.stdout)["rows"]) == 40


def test_features_of_a_region_are_written_and_counted(tmp_path):
    data = np.random.default_rng(0).uniform(5e-4, 2e-3, (12, 12, 8)).astype(np.float32)
    region = np.zeros(data.shape, np.float32)
    region[3:9, 3:9, 2:6] = 1.0
    for name, values in (("adc", data), ("mask", region)):
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / f"{name}.nii.gz")
    mask, csv = tmp_path / "mask.nii.gz", tmp_path / "features.csv"
    told = invoke("dwi", "radiomics", tmp_path / "adc.nii.gz", "--mask", mask, "-o", csv)
    assert told.exit_code == 0, told.output
    header, row = csv.read_text().splitlines()
    assert told.stdout == f"{len(header.split(',')) - 1} features of 1 maps: {csv}\n"
    assert len(row.split(",")) == len(header.split(","))


def test_help_lists_the_subcommands():
    found = invoke("dwi", "--help")
    assert found.exit_code == 0
    assert all(word in found.stdout for word in ("run", "radiomics", "grade"))
