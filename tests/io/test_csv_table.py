import csv
import os
from dataclasses import fields
from pathlib import Path

from inversesr.benchmarks.rows import Row
from inversesr.io.csv_table import write_csv

FULL = Row(
    "a, b", "tv", 4.0, 0.0, "rect", 2.0, "S", 1000, psnr_db=1.0 / 3.0, encode=3, note='say "no"',
    trace=((0.0, 1.0),),
)  # fmt: skip


def test_a_csv_file_gives_back_every_figure_to_the_last_digit(tmp_path):
    rows = [FULL, Row("c", "spline", failure="it, failed")]
    write_csv(tmp_path / "rows.csv", rows)
    with (tmp_path / "rows.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    names = [f.name for f in fields(Row) if f.name != "trace"]
    assert list(found[0]) == names
    for row, line in zip(rows, found, strict=True):
        for name in names:
            value = getattr(row, name)
            expected = "" if value is None else value
            assert type(expected)(line[name]) == expected


def test_nothing_but_the_table_is_left_and_an_older_one_is_replaced(tmp_path):
    for n in (3, 1):
        write_csv(tmp_path / "rows.csv", [FULL] * n)
        assert [p.name for p in tmp_path.iterdir()] == ["rows.csv"]
        assert len((tmp_path / "rows.csv").read_text().splitlines()) == 1 + n


def test_a_link_stays_one_and_what_is_no_file_is_written_to(tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "rows.csv")
    write_csv(tmp_path / "link.csv", [FULL])
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "rows.csv").is_file()
    write_csv(Path(os.devnull), [FULL])
    assert not Path(os.devnull).is_file()
