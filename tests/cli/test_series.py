"""The command `inversesr series`."""

import json

import pytest
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.workflows.series import run
from tests.support.series import write_bold
from tests.support.thin_slices import write_short_report

RUN = CliRunner()


def call(*words):
    return RUN.invoke(app, ["series", *map(str, words)])


def test_files_and_tsnr_are_told(tmp_path, monkeypatch):
    path = write_bold(tmp_path)
    words = [path, "--tr", 1, "--solver", "spline", "--motion", "none", "-o", tmp_path / "o"]
    told = call(*words)
    assert told.exit_code == 0, told.output
    assert "bold_desc-sr.nii.gz  (12 x 12 x 8 x 16, 3 x 3 x 3 mm, 1 s)" in told.stdout
    assert "median tSNR" in told.stdout
    monkeypatch.setattr(run, "write_series_report", write_short_report)
    again = call(*words, "--force", "--json")
    assert json.loads(again.stdout)["RepetitionTime"] == 1.0


@pytest.mark.parametrize(
    ("sidecar", "words", "told"),
    [
        ({"SliceTiming": [0, 1, 0]}, (), "3 times; expected one for each of the 4 slices"),
        ({"SliceTiming": [0, 500, 1000, 1500]}, (), "milliseconds"),
        ({"SliceTiming": [0, -1, 1, 1]}, (), "at least 0 s"),
        ({"RepetitionTime": 2000}, (), "expected seconds"),
        ({}, ("--tr", 5), "volumes were measured every 2 s"),
        ({}, ("--motion", "nothing.txt"), "does not exist"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_status_2(tmp_path, sidecar, words, told):
    result = call(write_bold(tmp_path, sidecar), *words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert {p.name for p in tmp_path.iterdir()} == {"bold.nii.gz", "bold.json"}


def test_run_names_this_command_for_a_series(tmp_path):
    result = RUN.invoke(app, ["run", str(write_bold(tmp_path))])
    assert result.exit_code == 2
    assert "inversesr series" in result.stderr
