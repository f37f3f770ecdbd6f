import json

import pytest


def test_a_comparison_prints_a_table_a_task_and_writes_csv_and_plot(desk, bench):
    files = ("--csv", "rows.csv", "--plot", "plot.png")
    noise = ("--noise", "0", "--noise", "2")
    result = bench("solvers", "head.nii.gz", "--solver", "spline,tv", *noise, *files)
    assert result.exit_code == 0, result.output
    assert "head, 4|0 mm rect, 2 % noise" in result.stdout
    assert result.stdout.count("spline") == 2
    assert len((desk / "rows.csv").read_text().splitlines()) == 5
    assert (desk / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("desk")
def test_json_is_the_only_thing_on_standard_output(bench):
    result = bench("solvers", "head.nii.gz", "--solver", "spline", "--json", "--crop", "16")
    (row,) = json.loads(result.stdout)["rows"]
    assert (row["solver"], row["n_voxels"], row["encode"]) == ("spline", 16 * 16 * 24, 0)


@pytest.mark.usefixtures("desk")
def test_a_solver_that_fails_leaves_a_sentence_under_the_table(bench):
    result = bench("solvers", "head.nii.gz", "--solver", "spline,unet", "--prior", "nowhere")
    assert result.exit_code == 0
    assert "unet failed: prior 'nowhere' is not installed" in result.stdout


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--solver", "magic"], "solver is magic"),
        (["--set", "solver.magic=1"], "expected solver.NAME=VALUE"),
        (["--crop", "3"], "crop is 3"),
        (["--noise", "200"], "noise is 2.0"),
        (["--profile", "round"], "profile is round"),
        (["--axis", "X"], "axis is X"),
        (["--until", "--solver", "spline"], "name it among the solvers"),
        (["--csv", "nowhere/rows.csv"], "lies in a folder that does not exist"),
        (["--plot", "nowhere/plot.png"], "lies in a folder that does not exist"),
        (["--plot", "plot.txt"], "is not the name of a picture"),
    ],
)
def test_bad_input_is_one_sentence_before_any_work(refused, words, sentence):
    assert sentence in refused("solvers", "head.nii.gz", *words)
