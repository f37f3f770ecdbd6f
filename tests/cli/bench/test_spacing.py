import json

import pytest

from inversesr.benchmarks.spacing import SpacingRow, Voxels

ROWS = [
    SpacingRow("head", "3|0 mm rect", "restored there", "unet", "0.7 x 0.7 x 0.7", 27.03, 0.7957),
]


@pytest.fixture
def asked(monkeypatch):
    seen = []

    def measure(truths, tasks, solvers, tell, setup, voxels):
        seen.append((truths, tasks, solvers, setup, voxels))
        tell(ROWS[0])
        return ROWS

    monkeypatch.setattr("inversesr.benchmarks.spacing.measure_spacing", measure)
    return seen


def test_options_arrive_and_each_way_is_a_line(bench, asked, desk):
    result = bench(
        "spacing", str(desk / "head.nii.gz"), "--solver", "unet", "--crop", "20", "--within", "2",
        "--thickness", "5", "--spacing", "0.4", "--set", "solver.adapt_steps=0",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (((path,), (task,), solvers, setup, voxels),) = asked
    assert (path, task.thickness_mm, solvers) == (desk / "head.nii.gz", 5.0, ["unet"])
    assert (setup.crop, setup.settings, voxels) == (20, ("solver.adapt_steps=0",), Voxels(2, 0.4))
    (line,) = [line for line in result.stdout.splitlines() if "restored there" in line]
    words = [word.strip() for word in line.strip("│").split("│")]
    assert words == ["restored there", "unet", "0.7 x 0.7 x 0.7", "27.03", "0.7957"]
    assert "unet, restored there: 27.03 dB" in result.stderr


def test_slices_of_3_mm_and_the_solver_of_a_run_are_the_default(bench, asked, desk):
    assert bench("spacing", str(desk / "head.nii.gz")).exit_code == 0
    ((_, (task,), solvers, _, voxels),) = asked
    assert (task.thickness_mm, solvers, voxels) == (3.0, ["auto"], Voxels())


@pytest.mark.usefixtures("asked")
def test_json_and_csv_have_a_row_a_way(bench, desk):
    result = bench("spacing", str(desk / "head.nii.gz"), "--json", "--csv", "rows.csv")
    assert [row["way"] for row in json.loads(result.stdout)["rows"]] == ["restored there"]
    assert len((desk / "rows.csv").read_text().splitlines()) == 2
