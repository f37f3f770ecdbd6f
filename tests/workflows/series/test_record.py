"""The record of a series holds what its sidecar must say."""

import json

from inversesr.workflows.series import run as module
from inversesr.workflows.series.run import run_series
from tests.support.series import CHOICES, write_bold
from tests.support.thin_slices import write_short_report


def test_the_record_names_nobody_and_tells_what_was_asked_and_used(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "write_series_report", write_short_report)
    path = write_bold(tmp_path, {"PatientName": "Jane", "EchoTime": 0.03})
    text = run_series(path, CHOICES, tmp_path / "out").outputs["sidecar"].read_text()
    record = json.loads(text)
    assert "Jane" not in text
    assert record["EchoTime"] == 0.03
    assert record["solver"] == {"asked": "spline", "used": "spline", "temporal": "none"}
    assert record["config"]["tr"] == 1.0
    assert record["StartTime"] == 0.0
    assert record["motion"] == {"found": False, "largest_mm": 0.0, "median_mm": 0.0}
    assert set(record["tsnr"]) == {"measured", "restored"}
