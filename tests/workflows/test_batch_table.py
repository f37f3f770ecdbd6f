import csv
import os

import pytest

from inversesr.errors import InputError
from inversesr.workflows import batch_table
from inversesr.workflows.batch import Batch, run_batch
from inversesr.workflows.batch_table import DONE, REFUSED, Entry, growing_table
from tests.support.batches import SPLINE, statuses


def test_rows_of_earlier_batches_stay_in_the_table(folder, tmp_path):
    out = tmp_path / "out"
    run_batch(Batch(folder, out, SPLINE, ["a.nii.gz"]))
    entries = run_batch(Batch(folder, out, SPLINE, ["b.nii"]))
    assert statuses(entries) == {"ward 3/b.nii": DONE}
    with (out / "batch.csv").open(newline="") as file:
        rows = {row["scan"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["a.nii.gz", "ward 3/b.nii"]
    assert float(rows["a.nii.gz"]["seconds"]) > 0.0


def test_a_table_of_something_else_is_not_replaced(folder, tmp_path):
    (tmp_path / "out").mkdir()
    table = tmp_path / "out" / "batch.csv"
    table.write_text("mine\n1\n")
    with pytest.raises(InputError, match="no table of a batch"):
        run_batch(Batch(folder, tmp_path / "out", SPLINE))
    assert table.read_text() == "mine\n1\n"


def test_a_name_that_is_no_text_is_a_row(folder, tmp_path):
    name = os.fsdecode(b"M\xfcller.nii.gz")
    try:
        (folder / name).write_bytes(b"no image")
    except OSError:
        pytest.skip("names of files are text here")
    entries = run_batch(Batch(folder, tmp_path / "out", SPLINE))
    assert [e.status for e in entries].count(REFUSED) == 1
    assert "M\\udcfcller" in (tmp_path / "out" / "batch.csv").read_text()


def test_a_table_of_many_scans_is_renewed_less_often_and_whole_at_the_end(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(batch_table, "write_csv", lambda _table, rows: written.append(len(rows)))
    seconds = iter(range(10_000))  # each look at the clock finds a second gone
    monkeypatch.setattr(batch_table, "monotonic", lambda: float(next(seconds)))
    with growing_table(tmp_path / "batch.csv") as note:
        for n in range(100):
            note(Entry(str(n)))
    assert written[0] == 1
    assert written[-1] == 100
    assert len(written) <= 10


def test_an_interrupted_table_has_all_that_was_noted(tmp_path):
    table = tmp_path / "batch.csv"
    with pytest.raises(KeyboardInterrupt), growing_table(table) as note:  # noqa: PT012
        note(Entry("b"))
        note(Entry("a"))
        raise KeyboardInterrupt
    assert list(batch_table.entries_of(table)) == ["a", "b"]
