import json

import pytest

from inversesr.benchmarks.lesion_rows import LesionRow

ROWS = [
    LesionRow("head", "5 mm rect", "tv", "", "kept", "bright", 4.0, 0.2, "between", 3,
              0.5, 0.45, 0.4, 30.0),
    LesionRow("head", "5 mm rect", "tv", "", "invented", "dark", 2.5, 0.31, is_in_spline=False),
]  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    seen = []

    def measure(truths, study, tell, _look):
        seen.append((truths, study))
        for row in ROWS:
            tell(row)
        return ROWS

    monkeypatch.setattr("inversesr.benchmarks.lesions.measure_lesions", measure)
    return seen


def test_options_arrive_and_the_table_has_what_was_kept_and_invented(bench, asked, desk):
    result = bench(
        "lesions", str(desk / "head.nii.gz"), "--solver", "tv", "--crop", "20", "--cases", "9",
        "--protect", "--thickness", "4", "--gap", "1", "--seed", "3",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (((path,), study),) = asked
    assert path == desk / "head.nii.gz"
    assert (study.solvers, study.n_lesions, study.is_masked) == (["tv"], 9, True)
    assert (study.setup.crop, study.setup.seed) == (20, 3)
    assert [(task.thickness_mm, task.gap_mm) for task in study.tasks] == [(4.0, 1.0)]
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("│ all")]
    assert line.split("│")[3:7] == [" " * 3 + "100.0 ", "  1 ", " " * 8 + "0 ", " " * 10 + "0.50 "]
    assert "kept, 0.45 found of 0.50 in the slices" in result.stderr


def test_slices_of_5_mm_and_all_lesions_are_the_default(bench, asked, desk):
    assert bench("lesions", str(desk / "head.nii.gz")).exit_code == 0
    ((_, study),) = asked
    assert [task.thickness_mm for task in study.tasks] == [5.0]
    assert (study.n_lesions, study.is_masked) == (None, False)
    assert study.solvers == ["spline", "tv", "diffusion"]


@pytest.mark.usefixtures("asked")
def test_json_and_csv_have_a_row_a_lesion(bench, desk):
    result = bench("lesions", str(desk / "head.nii.gz"), "--json", "--csv", "rows.csv")
    found = json.loads(result.stdout)["rows"]
    assert [row["outcome"] for row in found] == ["kept", "invented"]
    assert len((desk / "rows.csv").read_text().splitlines()) == 3


def test_a_picture_that_cannot_be_written_is_refused(refused, desk):
    words = ("lesions", str(desk / "head.nii.gz"), "--picture", "lesions.jpg")
    assert "expected a name ending in .png" in refused(*words)
