import json

import pytest

from inversesr.benchmarks.realism_rows import SAMPLE, Realism

ROWS = [
    Realism("head", "4|0 mm rect", "tv", psnr_db=24.5, ssim=0.88, spectral_error_db=8.25,
            smooth_sd_ratio=0.75, absolute_error=5.5, dice_fluid=0.9, dice_grey=0.8,
            dice_white=0.95, volume_fluid=1.01, volume_grey=0.99, volume_white=1.0),
    Realism("head", "4|0 mm rect", "diffusion", crps=3.25, covered=0.912, factor=1.5, n_samples=5),
    Realism("head", "4|0 mm rect", "diffusion", SAMPLE, psnr_db=22.0),
]  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    seen = []

    def measure(truths, tasks, solvers, tell, study, _look):
        seen.append((list(truths), tasks, list(solvers), study))
        for row in ROWS:
            tell(row)
        return ROWS

    monkeypatch.setattr("inversesr.benchmarks.realism.measure_realism", measure)
    return seen


def test_options_arrive_and_every_figure_is_in_the_table(bench, asked, desk):
    result = bench(
        "realism", str(desk / "head.nii.gz"), "--solver", "unet,diffusion", "--crop", "20",
        "--thickness", "5", "--gap", "1", "--noise", "2", "--seed", "3", "--samples", "5",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (((path,), (task,), solvers, study),) = asked
    assert path == desk / "head.nii.gz"
    assert (task.thickness_mm, task.gap_mm, task.noise) == (5.0, 1.0, 0.02)
    assert solvers == ["unet", "diffusion"]
    assert (study.setup.crop, study.setup.seed, study.n_samples) == (20, 3, 5)
    line = next(line for line in result.stdout.splitlines() if line.startswith("│ tv"))
    words = [word.strip() for word in line.strip("│").split("│")]
    assert words == [
        "tv", "image", "24.50", "0.8800", "8.25", "0.75", "5.5", "-", "-", "-",
        "0.900, 0.800, 0.950", "1.010, 0.990, 1.000",
    ]  # fmt: skip
    assert "91.2" in result.stdout
    assert "diffusion, one sample: PSNR 22.00 dB" in result.stderr


def test_eight_samples_of_the_quick_solvers_are_the_default(bench, asked, desk):
    assert bench("realism", str(desk / "head.nii.gz")).exit_code == 0
    ((_, (task,), solvers, study),) = asked
    assert (task.thickness_mm, solvers, study.n_samples) == (4.0, ["spline", "tv", "diffusion"], 8)


@pytest.mark.usefixtures("asked")
def test_json_and_csv_have_a_row_an_image_or_sample(bench, desk):
    result = bench("realism", str(desk / "head.nii.gz"), "--json", "--csv", "rows.csv")
    found = json.loads(result.stdout)["rows"]
    assert [row["kind"] for row in found] == ["image", "image", "one sample"]
    assert len((desk / "rows.csv").read_text().splitlines()) == 4


def test_a_picture_that_cannot_be_written_is_refused(refused, desk):
    words = ("realism", str(desk / "head.nii.gz"), "--picture", "seen.jpg")
    assert "expected a name ending in .png" in refused(*words)
