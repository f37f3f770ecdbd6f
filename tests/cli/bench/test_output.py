import json
from dataclasses import dataclass

import pytest

from inversesr.cli.bench.output import Output, check_folder
from inversesr.errors import InputError


@dataclass(frozen=True)
class Row:
    name: str
    psnr_db: float


ROWS = [Row("a", 20.0), Row("b", 21.5)]


def test_the_file_holds_every_row_done_so_far(tmp_path):
    told, file = [], tmp_path / "rows.csv"
    keep = Output(file).keeping(told.append)
    for n, row in enumerate(ROWS, start=1):
        keep(row)
        assert len(file.read_text().splitlines()) == n + 1
    assert told == ROWS


def test_json_is_printed_instead_of_the_table(capsys):
    shown = []
    Output(as_json=True).finish(ROWS, shown.append)
    assert json.loads(capsys.readouterr().out)["rows"][1] == {"name": "b", "psnr_db": 21.5}
    assert not shown


def test_rows_are_shown_and_written(tmp_path, capsys):
    shown = []
    Output(tmp_path / "rows.csv").finish(ROWS, shown.append)
    assert shown == [ROWS]
    assert (tmp_path / "rows.csv").read_text().splitlines()[0] == "name,psnr_db"
    assert capsys.readouterr().out == ""


def test_lines_on_standard_output_are_kept_from_json():
    shown = []
    Output().unless_json(shown.append)("line")
    Output(as_json=True).unless_json(shown.append)("line")
    assert shown == ["line"]


def test_a_folder_that_does_not_exist_is_refused(tmp_path):
    check_folder(None)
    check_folder(tmp_path / "rows.csv")
    with pytest.raises(InputError, match="lies in a folder that does not exist"):
        Output(tmp_path / "nowhere" / "rows.csv")
