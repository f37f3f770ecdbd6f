import pytest

from inversesr.benchmarks.tasks import standard_tasks


@pytest.mark.usefixtures("desk")
def test_all_tasks_are_one_table_with_a_row_each(bench, monkeypatch):
    tasks = standard_tasks()[:3]
    monkeypatch.setattr("inversesr.benchmarks.tasks.standard_tasks", lambda _seed: tasks)
    result = bench("tasks", "head.nii.gz", "--solver", "spline,tv")
    assert result.exit_code == 0, result.output
    for words in ("4|0 mm rect", "3|0 mm rect", "4|1 mm rect", "PSNR in dB", "spectral error"):
        assert words in result.stdout
    assert result.stdout.count("spline") == 2


@pytest.mark.parametrize("option", ["--noise", "--thickness", "--plot"])
def test_the_standard_set_cannot_be_changed(bench, option):
    result = bench("tasks", "head.nii.gz", option, "2")
    assert result.exit_code == 2
    assert f"No such option: {option}" in result.stderr
