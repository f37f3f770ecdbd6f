from dataclasses import replace

import pytest

from inversesr.benchmarks.rows import Row
from inversesr.cli.bench.tables import print_comparison, tell_row, text

ROW = Row("head", "tv", 4.0, 0.0, "rect", 0.0, "S", n_voxels=2_500_000, psnr_db=25.125)


@pytest.mark.parametrize(("value", "shown"), [(None, "-"), (0.0, "0.0"), (12.34, "12.3")])
def test_a_figure_that_is_not_known_is_a_dash(value, shown):
    assert text(value, ".1f") == shown


def test_each_task_is_a_table_and_each_solver_a_row(capsys):
    other = replace(ROW, solver="spline", noise_percent=2.0)
    print_comparison([ROW, replace(ROW, solver="latent-pnp", decode=6, decode_backward=5), other])
    shown = capsys.readouterr().out
    titles = [line.strip() for line in shown.splitlines() if line.startswith("head")]
    assert titles == ["head, 4|0 mm rect", "head, 4|0 mm rect, 2 % noise"]
    (row,) = [line for line in shown.splitlines() if "latent-pnp" in line]
    assert "25.12" in row
    assert "6 + 5" in row
    assert "2.5" in row


def test_times_to_quality_are_a_column_only_where_they_were_measured(capsys):
    print_comparison([ROW])
    assert "s until" not in capsys.readouterr().out
    print_comparison([replace(ROW, trace=((0.0, 20.0),), seconds_until=1.5)])
    shown = capsys.readouterr().out
    assert "s until" in shown
    assert "1.50" in shown


def test_failures_and_notes_stand_below_the_table(capsys):
    print_comparison([replace(ROW, failure="no prior"), replace(ROW, solver="spline", note="hm")])
    *_, failure, note = capsys.readouterr().out.splitlines()
    assert (failure, note) == ("tv failed: no prior", "spline note: hm")


def test_the_end_of_a_run_is_told_on_standard_error(capsys):
    tell_row(replace(ROW, process_seconds=2.0))
    tell_row(replace(ROW, failure="no prior"))
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err.splitlines() == [
        "head, 4|0 mm rect: tv: 2.0 s",
        "head, 4|0 mm rect: tv: no prior",
    ]
