import csv
from dataclasses import replace

import pytest

from inversesr.errors import InputError
from inversesr.io.csv_table import write_csv
from inversesr.workflows.batch_table import DONE, FAILED, KEPT, REFUSED, Entry
from inversesr.workflows.group import gather, worst_first
from tests.support.batches import write_scan

CLEAN = Entry("sub-1_T2w", DONE, n_warnings=0, largest_share=1e-7, solver="tv")


def test_what_has_no_image_comes_first_then_warnings_then_differences():
    entries = [
        CLEAN,
        replace(CLEAN, scan="far", largest_share=0.2),
        replace(CLEAN, scan="warned", n_warnings="3", status=KEPT),  # as it is read of a table
        Entry("unusable", REFUSED, "no scan"),
        Entry("lost", FAILED, "no memory"),
    ]
    order = [entry.scan for entry in worst_first(entries)]
    assert order == ["lost", "unusable", "warned", "far", "sub-1_T2w"]


def test_all_visits_are_in_one_table_and_on_one_page(tmp_path):
    (tmp_path / "logs").mkdir()
    write_scan(tmp_path / "sub-1" / "a_desc-sr.nii.gz")
    shown = replace(CLEAN, image="sub-1/a_desc-sr.nii.gz", report="sub-1/a report.html")
    write_csv(tmp_path / "logs" / "sub-1.csv", [shown])
    write_csv(tmp_path / "logs" / "sub-2.csv", [Entry("sub-2_T2w", REFUSED, "cut <short>")])
    group = gather(tmp_path)
    with group.table.open(newline="") as file:
        assert [row["scan"] for row in csv.DictReader(file)] == ["sub-2_T2w", "sub-1_T2w"]
    page = group.page.read_text()
    assert page.count("data:image/jpeg;base64,") == 1
    assert "cut &lt;short&gt;" in page
    assert 'href="sub-1/a%20report.html"' in page
    assert page.index("sub-2_T2w") < page.index("sub-1_T2w")
    assert "<script" not in page
    assert gather(tmp_path).entries == group.entries


def test_an_image_that_is_gone_leaves_its_row(tmp_path):
    (tmp_path / "logs").mkdir()
    write_csv(tmp_path / "logs" / "sub-1.csv", [replace(CLEAN, image="gone.nii.gz")])
    assert "no image" in gather(tmp_path).page.read_text()


def test_without_results_there_is_no_group(tmp_path):
    with pytest.raises(InputError, match="run the level participant into it first"):
        gather(tmp_path)
