import pytest

from inversesr.benchmarks import comparison


@pytest.mark.usefixtures("desk")
def test_each_size_is_a_table(bench, monkeypatch):
    monkeypatch.setattr(comparison, "SCALING_SHAPES", ((16, 14, 5), (16, 14, 8)))
    result = bench("scaling", "--solver", "spline")
    assert result.exit_code == 0, result.output
    for size in ("phantom 16 x 14 x 5", "phantom 16 x 14 x 8"):
        assert size in result.stdout


def test_the_sizes_are_not_those_of_an_image(bench):
    result = bench("scaling", "head.nii.gz")
    assert result.exit_code == 2
    assert "unexpected extra argument" in result.stderr
