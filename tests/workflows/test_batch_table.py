import csv
import os

import pytest

from inversesr.errors import InputError
from inversesr.workflows.batch import Batch, run_batch
from inversesr.workflows.batch_table import DONE, REFUSED
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
