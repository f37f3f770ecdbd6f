import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from typer.testing import CliRunner

from inversesr.benchmarks import case as benchmark_case
from inversesr.benchmarks import robustness as benchmark_robustness
from inversesr.benchmarks.tasks import standard_tasks
from inversesr.cli.app import app
from inversesr.io.nifti import Scan, write_volume
from inversesr.volume import Grid, Volume
from inversesr.workflows import run as job

SHAPE = (20, 18, 24)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A thin-slice image; what is meant for another process runs in a thread."""
    for module in (benchmark_case, benchmark_robustness):
        monkeypatch.setattr(module, "new_process", lambda: ThreadPoolExecutor(1))
    monkeypatch.setattr(job, "has_report_packages", lambda: False)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    data = (100.0 * (sum(a**2 for a in axes) < 0.8)).astype(np.float32)
    volume = Volume(data, Grid(SHAPE, np.eye(4)))
    write_volume(tmp_path / "head.nii.gz", volume, Scan.made_here(volume))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words):
    return CliRunner().invoke(app, ["bench", *words])


def test_a_comparison_prints_a_table_a_task_and_writes_csv_and_plot(desk):
    pytest.importorskip("matplotlib")
    files = ("--csv", "rows.csv", "--plot", "plot.png")
    result = call("head.nii.gz", "--solver", "spline,tv", "--noise", "0", "--noise", "2", *files)
    assert result.exit_code == 0, result.output
    assert "head, 4|0 mm rect, 2 % noise" in result.stdout
    assert result.stdout.count("spline") == 2
    assert len((desk / "rows.csv").read_text().splitlines()) == 5
    assert (desk / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("desk")
def test_json_is_the_only_thing_on_standard_output():
    result = call("head.nii.gz", "--solver", "spline", "--json", "--crop", "16")
    (row,) = json.loads(result.stdout)["rows"]
    assert (row["solver"], row["n_voxels"], row["encode"]) == ("spline", 16 * 16 * 24, 0)


@pytest.mark.usefixtures("desk")
def test_a_solver_that_fails_leaves_a_sentence_under_the_table():
    result = call("head.nii.gz", "--solver", "spline,warmstart", "--prior", "nowhere")
    assert result.exit_code == 0
    assert "warmstart failed: prior 'nowhere' is not installed" in result.stdout


@pytest.mark.usefixtures("desk")
def test_a_sweep_prints_every_cell_and_all_of_them():
    lists = ("--thickness", "3", "--thickness", "4", "--profile", "rect", "--noise", "0")
    result = call("head.nii.gz", "--robustness", "--solver", "spline", *lists)
    assert result.exit_code == 0, result.output
    for words in ("3 mm rect 0 %", "4 mm rect 0 %", "all", "+0.00"):
        assert words in result.stdout


@pytest.mark.usefixtures("desk")
def test_all_tasks_are_one_table_with_a_row_each(monkeypatch):
    tasks = standard_tasks()[:3]
    monkeypatch.setattr("inversesr.benchmarks.tasks.standard_tasks", lambda _seed: tasks)
    result = call("head.nii.gz", "--all-tasks", "--solver", "spline,tv")
    assert result.exit_code == 0, result.output
    for words in ("4|0 mm rect", "3|0 mm rect", "4|1 mm rect", "PSNR in dB", "spectral error"):
        assert words in result.stdout
    assert result.stdout.count("spline") == 2


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--solver", "magic"], "solver is magic"),
        (["--set", "solver.magic=1"], "expected solver.NAME=VALUE"),
        (["--crop", "3"], "crop is 3"),
        (["--noise", "200"], "noise is 2.0"),
        (["--profile", "round"], "profile is round"),
        (["--robustness", "--scaling"], "one of them at a time"),
        (["--until", "--solver", "spline"], "name it among the solvers"),
        (["--until", "--robustness"], "--until does not go with --robustness"),
        (["--scaling"], "TRUTH does not go with --scaling"),
        (["--calibration", "--noise", "1"], "--noise does not go with --calibration"),
        (["--networks", "--solver", "tv"], "TRUTH does not go with --networks"),
        (["--misstated", "20"], "--misstated goes with --robustness only"),
        (["--robustness", "--misstated", "-100"], "misstated is -100 percent"),
        (["--all-tasks", "--noise", "2"], "--noise does not go with --all-tasks"),
        (["--axis", "X"], "axis is X"),
        (["--csv", "nowhere/rows.csv"], "lies in a folder that does not exist"),
    ],
)
def test_bad_input_is_one_sentence_before_any_work(words, sentence):
    result = call("head.nii.gz", *words)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
