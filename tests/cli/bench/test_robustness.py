import pytest


@pytest.mark.usefixtures("desk")
def test_a_sweep_prints_every_cell_and_all_of_them(bench):
    lists = ("--thickness", "3", "--thickness", "4", "--profile", "rect", "--noise", "0")
    result = bench("robustness", "head.nii.gz", "--solver", "spline", *lists)
    assert result.exit_code == 0, result.output
    for words in ("3 mm rect 0 %", "4 mm rect 0 %", "all", "+0.00"):
        assert words in result.stdout


def test_the_defaults_are_those_that_the_help_tells(bench, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "inversesr.benchmarks.robustness.measure_robustness",
        lambda truths, tasks, names, _tell, setup: (
            seen.append((truths, tasks, names, setup)) or []
        ),
    )
    assert bench("robustness", "head.nii.gz", "--misstated", "20").exit_code == 0
    ((truths, tasks, names, setup),) = seen
    assert [path.name for path in truths] == ["head.nii.gz"]
    assert sorted({t.thickness_mm for t in tasks}) == [3.0, 4.0, 5.0, 6.0, 8.0]
    assert {t.profile for t in tasks} == {"rect", "gaussian"}
    assert sorted({100.0 * t.noise for t in tasks}) == [0.0, 1.0, 2.0, 3.0]
    assert len(tasks) == 40
    assert (names, setup.misstated) == (["auto"], 0.2)


def test_a_thickness_that_would_be_none_is_refused(refused):
    sentence = refused("robustness", "head.nii.gz", "--misstated", "-100")
    assert "misstated is -100 percent" in sentence
