import numpy as np

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.gaps import GAP_SPLINE, GAPS, measure_gaps, within
from inversesr.io.nifti import Scan, write_volume
from inversesr.volume import Grid, Volume
from tests.support.heads import head_volume


def test_every_hole_lies_between_measured_slices():
    for left_out in GAPS.values():
        for n in range(7, 30):
            lost = set(left_out(n))
            assert lost
            assert all({k - 1, k + 1} <= set(range(n)) - lost for k in lost)


def test_every_image_pattern_and_solver_is_a_row(tmp_path):
    data = head_volume((24, 22, 32), (1.0, 1.0, 1.0), folds=4.0).data
    volume = Volume(data, Grid((24, 22, 32), np.eye(4)))
    write_volume(tmp_path / "head.nii.gz", volume, Scan.made_here(volume))
    task = SimulateConfig(thickness_mm=4.0)
    rows = measure_gaps([tmp_path / "head.nii.gz"], ["spline"], task, crop=18)
    assert [(row.gaps, row.solver) for row in rows] == [
        (gaps, solver) for gaps in GAPS for solver in (GAP_SPLINE, "spline")
    ]
    assert all(15.0 < row.psnr_db < 60.0 for row in rows)


def test_only_what_was_left_out_counts():
    volume = head_volume()
    image = volume.data.copy()
    image[..., 0] = 1e6
    assert within(volume, image, 2, [3, 4]) == float("inf")
