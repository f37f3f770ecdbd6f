import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.cli.bids import with_repeated_options
from inversesr.workflows.executors import alone
from tests.support.bids import write_dataset


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (
            ["in", "out", "participant", "--participant-label", "01", "02"],
            ["in", "out", "participant", "--participant-label", "01", "--participant-label", "02"],
        ),
        (
            ["--session_label", "a", "b", "--n_procs", "2"],
            ["--session_label", "a", "--session_label", "b", "--n_procs", "2"],
        ),
        (["in", "out", "group"], ["in", "out", "group"]),
    ],
)
def test_labels_may_follow_one_another(typed, meant):
    assert with_repeated_options(typed) == meant


def test_both_levels_follow_one_another(tmp_path, monkeypatch):
    monkeypatch.setattr(alone, "prepared_process", lambda _work: ThreadPoolExecutor(1))
    raw, out = str(write_dataset(tmp_path / "raw")), str(tmp_path / "out")
    words = ["bids", raw, out, "participant", "--participant_label", "01", "--session-label", "b"]
    first = CliRunner().invoke(app, [*words, "--skip_bids_validation", "--solver", "spline"])
    assert (first.exit_code, first.stdout) == (0, "1 done\n"), first.output
    second = CliRunner().invoke(app, ["bids", raw, out, "group", "--json"])
    told = json.loads(second.stdout)
    assert told["counts"] == {"done": 1}
    assert told["page"].endswith("group.html")


def test_results_that_are_missing_are_one_sentence(tmp_path):
    result = CliRunner().invoke(app, ["bids", str(tmp_path), str(tmp_path / "out"), "group"])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "run the level participant" in result.stderr
