import json

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


def test_help_lists_the_subcommands():
    found = invoke("dwi", "--help")
    assert found.exit_code == 0
    assert all(word in found.stdout for word in ("run", "radiomics", "grade"))
