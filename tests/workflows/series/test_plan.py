"""What is known of a series before it is restored."""

from dataclasses import replace

import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.io.series import Series
from inversesr.volume import Grid, Volume
from inversesr.workflows.series.config import SeriesConfig
from inversesr.workflows.series.plan import plan_series, pose_of, row_of


def series(sidecar=None, spacing=(3.0, 3.0, 6.0), name="bold"):
    data = np.random.default_rng(0).uniform(50, 99, (5, 6, 7, 4)).astype(np.float32)
    grid = Grid((6, 7, 4), np.diag([*spacing, 1.0]))
    scan = replace(
        Scan.made_here(Volume(data.mean(axis=0), grid)), sidecar=sidecar or {}, name=name
    )
    return Series(data, scan, 2.0, None)


def test_slices_become_as_thin_as_voxels_are_wide():
    model = plan_series(series(), SeriesConfig()).model
    assert model.fine.spacing_mm == (3.0, 3.0, 3.0)
    assert model.frame_s == 2.0


def test_a_series_of_thin_slices_can_be_refined_in_time_alone():
    thin = series(spacing=(3.0, 3.0, 3.0))
    model = plan_series(thin, SeriesConfig(tr=1.0)).model
    assert model.fine.shape == (6, 7, 4)
    assert model.n_frames == 10
    with pytest.raises(InputError, match="nothing to refine"):
        plan_series(thin, SeriesConfig())


@pytest.mark.parametrize("tr", [2.5, 0.1])
def test_steps_that_hold_nothing_measured_are_refused(tr):
    with pytest.raises(InputError, match=r"expected 0\.25 to 2 s"):
        plan_series(series(), SeriesConfig(tr=tr))


def test_labelled_and_control_volumes_are_not_mixed():
    asl = series({"ArterialSpinLabelingType": "PCASL", "SliceTiming": [0, 0.1, 0.2, 0.3]})
    plan = plan_series(asl, SeriesConfig())
    assert not plan.model.slice_times_s.any()
    assert any("alternate" in told for told in plan.warnings)
    with pytest.raises(InputError, match="nothing can be interpolated in time"):
        plan_series(asl, SeriesConfig(tr=1.0))


def test_times_that_are_not_stated_are_told():
    assert any("not stated" in told for told in plan_series(series(), SeriesConfig()).warnings)
    given = plan_series(series(), SeriesConfig(slice_timing="0,0.5,1,1.5"))
    assert given.model.slice_times_s.tolist() == [0, 0.5, 1, 1.5]
    assert given.timing == "--slice-timing"


def test_six_numbers_are_a_pose_as_spm_makes_it():
    """A turn about z by the angle a takes (1, 0, 0) to (cos a, -sin a, 0)."""
    pose = pose_of(np.array([1.0, 2.0, 3.0, 0.0, 0.0, 0.1]))
    assert np.allclose(pose @ [1, 0, 0, 1], [1 + np.cos(0.1), 2 - np.sin(0.1), 3, 1])
    row = np.array([1.0, -2.0, 0.5, 0.05, -0.2, 0.1])
    assert np.allclose(row_of(pose_of(row)), row)


def test_motion_of_a_file_is_referred_to_the_first_volume(tmp_path):
    rows = np.zeros((5, 6))
    rows[:, 0] = [2, 2, 3, 3, 4]
    np.savetxt(tmp_path / "rp.txt", rows)
    plan = plan_series(series(), SeriesConfig(motion=str(tmp_path / "rp.txt")))
    assert not plan.is_moving
    assert [pose[0, 3] for pose in plan.model.poses] == [0, 0, 1, 1, 2]
