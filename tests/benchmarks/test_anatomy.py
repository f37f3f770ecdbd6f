import numpy as np
import pytest

from inversesr.acquisition.anatomy import Anatomy
from inversesr.benchmarks import anatomy as module
from inversesr.benchmarks.anatomy import ADULT, OTHER, AnatomyRow, area_under_curve
from inversesr.io.nifti import Scan, write_volume
from inversesr.volume import Grid, Volume
from tests.support.heads import head_volume


def row(kind, fit, size=1.0):
    return AnatomyRow("a", kind, "as it is", fit, size, is_strange=False, seconds=0.1)


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    rows = [row(ADULT, 0.5), row(ADULT, 0.2), row(OTHER, 0.3), row(OTHER, 0.1)]
    assert area_under_curve(rows) == pytest.approx(0.75)
    assert area_under_curve([*rows, row(OTHER, None, None)]) == pytest.approx(0.75)
    assert area_under_curve([row(ADULT, 0.5), row(OTHER, 0.9, 0.6)]) == 1.0
    assert area_under_curve([row(ADULT, 0.5)]) is None


def test_adults_are_judged_as_they_are_and_in_three_directions_and_others_once(
    tmp_path, monkeypatch
):
    volume = Volume(head_volume((24, 24, 24)).data, Grid((24, 24, 24), np.eye(4)))
    write_volume(tmp_path / "head.nii.gz", volume, Scan.made_here(volume))
    monkeypatch.setattr(
        module, "anatomy_of", lambda volume: Anatomy(volume.data.shape[2] / 100, 1.0)
    )
    rows = []
    path = tmp_path / "head.nii.gz"
    assert module.measure_anatomy([path], [path], rows.append) == rows
    assert [(r.kind, r.slices) for r in rows] == [
        (ADULT, "as it is"), (ADULT, "4 mm R"), (ADULT, "6 mm A"), (ADULT, "8 mm S"),
        (OTHER, "as it is"),
    ]  # fmt: skip
    assert [r.fit for r in rows] == [0.24, 0.24, 0.24, 0.03, 0.24]
    assert [r.is_strange for r in rows] == [False, False, False, True, False]
