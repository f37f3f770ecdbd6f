import json

import numpy as np
import pytest
from typer.testing import CliRunner

from inversesr.cli.app import app
from inversesr.cli.old_names import RENAMED, with_present_names
from inversesr.io.nifti import Scan, write_volume
from inversesr.volume import Grid, Volume

GRID = Grid((10, 11, 6), np.diag([2.0, 2.0, 4.0, 1.0]))


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_command_of_an_earlier_version_works_and_warns(old, new):
    before = CliRunner().invoke(app, [old, "--help"])
    after = CliRunner().invoke(app, [*new, "--help"])
    assert before.exit_code == 0
    assert before.stdout == after.stdout
    assert before.stderr.startswith(
        f"warning: `inversesr {old}` is now `inversesr {' '.join(new)}`"
    )
    assert after.stderr == ""


def test_an_earlier_name_is_not_listed():
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert not {line.split()[0] for line in shown.splitlines() if line.split()} & set(RENAMED)


@pytest.mark.parametrize(
    ("typed", "understood", "told"),
    [
        (["--lock", "noise"], ["--consistency", "noise"], "`--lock` is now `--consistency`"),
        (["--lock=noise"], ["--consistency=noise"], "`--lock` is now `--consistency`"),
        (["--no-lock"], ["--consistency", "off"], "`--no-lock` is now `--consistency off`"),
        (["--solver", "warmstart"], ["--solver", "unet"], "`--solver unet`"),
        (["--solver=warmstart"], ["--solver=unet"], "`--solver unet`"),
    ],
)
def test_options_and_solvers_of_an_earlier_version_are_understood(typed, understood, told, capsys):
    assert with_present_names(["run", "a.nii", *typed]) == ["run", "a.nii", *understood]
    warning = capsys.readouterr().err
    assert warning.startswith("warning: ")
    assert told in warning
    assert "will not be known in the next version" in warning


@pytest.mark.parametrize(
    "typed", [["--", "--lock", "warmstart"], ["warmstart"], ["-o", "warmstart"], ["--locked"]]
)
def test_what_only_looks_like_an_earlier_name_is_left_alone(typed, capsys):
    assert with_present_names(typed) == typed
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("without_pictures")
def test_a_run_with_earlier_names_is_recorded_under_the_present_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    volume = Volume(np.random.default_rng(0).random((10, 11, 6), dtype=np.float32), GRID)
    write_volume(tmp_path / "a.nii.gz", volume, Scan.made_here(volume))
    options = ["--solver", "tv", "--no-lock", "--json", "--threads", "1"]
    done = CliRunner().invoke(app, ["run", "a.nii.gz", *options])
    assert done.exit_code == 0, done.output
    assert "warning: `--no-lock` is now `--consistency off`" in done.stderr
    record = json.loads(done.stdout)
    assert record["consistency"] == record["config"]["consistency"] == "off"
    assert "lock" not in {*record, *record["config"], *record["seconds"]}


def test_several_solvers_may_be_named_as_before():
    words = ["bench", "solvers", "nowhere.nii", "--solver", "spline,warmstart"]
    failed = CliRunner().invoke(app, words)
    assert failed.exit_code == 2
    assert failed.stderr.count("warning: the solver warmstart is now unet") == 1
