"""From a 4D file to files, in a few small volumes."""

import json

import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.workflows.series import run as module
from inversesr.workflows.series.config import SeriesConfig
from inversesr.workflows.series.run import run_series
from tests.support.series import CHOICES, write_bold
from tests.support.thin_slices import write_short_report


def test_image_sidecar_motion_and_report_are_written(tmp_path):
    path = write_bold(tmp_path)
    before = path.read_bytes()
    result = run_series(path, CHOICES, tmp_path / "out")
    image = nibabel.load(result.outputs["image"])
    assert image.shape == (12, 12, 8, 16)
    assert np.allclose(image.header.get_zooms(), (3.0, 3.0, 3.0, 1.0))
    record = json.loads(result.outputs["sidecar"].read_text())
    assert record["RepetitionTime"] == 1.0
    assert "SliceTiming" not in record
    assert record["SliceTimingCorrected"]
    assert record["measured"]["SliceTiming"] == [0.0, 1.0, 0.5, 1.5]
    assert record["TaskName"] == "rest"
    assert np.loadtxt(result.outputs["motion"]).shape == (8, 6)
    page = result.outputs["report"].read_text()
    assert "data:image/gif" in page
    assert page.count("data:image/png") == 2
    assert path.read_bytes() == before
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(
        p.name for p in result.outputs.values()
    )
    with pytest.raises(InputError, match="exists already"):
        run_series(path, CHOICES, tmp_path / "out")


@pytest.fixture
def _without_pictures(monkeypatch):
    """Pictures take seconds, and are those of the test above."""
    monkeypatch.setattr(module, "write_series_report", write_short_report)


@pytest.mark.usefixtures("_without_pictures")
def test_an_interrupted_run_goes_on_with_the_windows_that_are_left(tmp_path, monkeypatch):
    path = write_bold(tmp_path)
    monkeypatch.setattr(module, "window_size", lambda _model: 4)
    monkeypatch.setattr(module, "OVERLAP", 1)
    whole = run_series(path, CHOICES, tmp_path / "whole")
    restore, calls = module.restore_window, []

    def failing(model, mean, y, which, choices, *, motion):
        calls.append(which[0].start)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return restore(model, mean, y, which, choices, motion=motion)

    monkeypatch.setattr(module, "restore_window", failing)
    with pytest.raises(KeyboardInterrupt):
        run_series(path, CHOICES, tmp_path / "out")
    assert not (tmp_path / "out" / "bold_desc-sr.nii.gz").exists()
    monkeypatch.setattr(module, "find_mean", None)  # the mean is there already
    resumed = run_series(path, CHOICES, tmp_path / "out")
    assert calls[2] == calls[3]
    assert len(calls) == len(set(calls)) + 1
    images = [nibabel.load(r.outputs["image"]).get_fdata() for r in (whole, resumed)]
    assert np.array_equal(*images)


@pytest.mark.usefixtures("_without_pictures")
def test_the_same_choices_give_the_same_image(tmp_path):
    path = write_bold(tmp_path)
    config = SeriesConfig(solver="tv", temporal="tv", motion="none")
    images = [
        nibabel.load(run_series(path, config, tmp_path / name).outputs["image"]).get_fdata()
        for name in ("a", "b")
    ]
    assert np.array_equal(*images)
