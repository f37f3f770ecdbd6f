"""The command `inversesr bench series`."""

from inversesr.benchmarks.series import SeriesRow
from inversesr.cli.bench.series import print_series


def test_figures_are_told_beside_those_of_the_baseline(capsys):
    print_series(
        [SeriesRow("head", 6.0, 22.0, 24.0, 21.0, 23.5, 30.0, 40.0, 50.0, 90.0, 0.5, 0.8)]
    )
    told = capsys.readouterr().out
    assert "head, slices of 6 mm" in told
    assert "22.00 ->    24.00 dB" in told
    assert "0.50 ->     0.80" in told
