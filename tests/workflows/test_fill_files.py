import json

import nibabel
import numpy as np
import pytest

from inversesr.acquisition.missing import missing_slices
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan, read_scan, write_volume
from inversesr.workflows import fill_files
from inversesr.workflows.fill_choices import FillConfig
from inversesr.workflows.fill_files import fill_file, filled_names
from tests.support.heads import head_volume
from tests.support.thin_slices import write_short_report


@pytest.fixture
def scan(tmp_path):
    volume = head_volume((24, 26, 12), (1.0, 1.0, 3.0), folds=4.0)
    path = tmp_path / "sub-01_T2w.nii.gz"
    write_volume(path, volume, Scan.made_here(volume))
    return path


@pytest.fixture
def _without_pictures(monkeypatch):
    monkeypatch.setattr(fill_files, "write_report", write_short_report)


def test_names_follow_the_scan(tmp_path):
    named = filled_names(tmp_path / "sub-01_T2w.nii.gz", None, 2)
    assert named.outputs.image.name == "sub-01_desc-filled_T2w.nii.gz"
    assert named.outputs.maps["generated"].name == "sub-01_desc-filledgeneratedT2w_mask.nii.gz"
    assert [p.name for p in named.samples] == [
        "sub-01_desc-filledsample1_T2w.nii.gz", "sub-01_desc-filledsample2_T2w.nii.gz",
    ]  # fmt: skip
    assert named.outputs.report.name == "sub-01_T2w_filled_report.html"


def test_image_map_record_and_report_are_written_and_say_what_was_generated(scan):
    filled, files = fill_file(scan, FillConfig(slices="5", solver="tv"))
    before, after = (nibabel.load(p).get_fdata() for p in (scan, files.outputs.image))
    np.testing.assert_array_equal(np.delete(after, 5, 2), np.delete(before, 5, 2))
    marked = nibabel.load(files.outputs.maps["generated"]).get_fdata()
    assert marked.sum() == 24 * 26
    record = json.loads(files.outputs.sidecar.read_text())
    assert record["MissingSlices"] == [5]
    assert "generated, not measured" in record["warnings"][0]
    page = files.outputs.report.read_text()
    assert "generated, not measured" in page.split("</h1>")[1][:600]
    assert filled.wanted.slices == (5,)


@pytest.mark.usefixtures("_without_pictures")
def test_a_later_run_takes_generated_slices_as_missing_not_as_measured(scan):
    _, files = fill_file(scan, FillConfig(slices="5", solver="spline"))
    assert missing_slices(read_scan(files.outputs.image), Config()) == (5,)


@pytest.mark.usefixtures("_without_pictures")
def test_nothing_is_replaced_without_being_asked(scan):
    fill_file(scan, FillConfig(slices="5", solver="spline"))
    with pytest.raises(InputError, match="--force"):
        fill_file(scan, FillConfig(slices="5", solver="spline"))
    fill_file(scan, FillConfig(slices="6", solver="spline"), force=True)
