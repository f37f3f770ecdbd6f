import pytest

from inversesr.cli.bench.calibration import read_one_solver
from inversesr.errors import InputError


def test_one_solver_is_not_several():
    assert read_one_solver(None) == "auto"
    assert read_one_solver(["tv"]) == "tv"
    with pytest.raises(InputError, match="2 solvers were named"):
        read_one_solver(["tv", "spline"])


def test_every_choice_reaches_the_measurement(bench, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "inversesr.benchmarks.calibration.measure_calibration",
        lambda truths, slices_mm, config, _tell, crop, labels: (
            seen.append((truths, slices_mm, config, crop, labels)) or []
        ),
    )
    words = (
        "--thickness",
        "4",
        "--thickness",
        "6",
        "--gap",
        "1",
        "--crop",
        "96",
        "--seed",
        "3",
        "--labels",
        "map.nii.gz",
    )
    result = bench("calibration", "head.nii.gz", "--solver", "unet", *words)
    assert result.exit_code == 0, result.output
    ((truths, slices_mm, config, crop, labels),) = seen
    assert [path.name for path in truths] == ["head.nii.gz"]
    assert (slices_mm, crop) == ([(4.0, 1.0), (6.0, 1.0)], 96)
    assert (config.solver, config.seed) == ("unet", 3)
    assert [path.name for path in labels] == ["map.nii.gz"]


@pytest.mark.usefixtures("desk")
def test_a_solver_that_knows_nothing_of_its_errors_is_refused(refused):
    assert "tv says nothing of its errors" in refused(
        "calibration", "head.nii.gz", "--solver", "tv"
    )
