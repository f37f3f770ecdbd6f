"""The benchmark of series, on a small head."""

import nibabel
import numpy as np
import pytest
import torch

from inversesr.acquisition.series_simulation import SeriesTask
from inversesr.benchmarks.series import baseline, measure_series, upright
from inversesr.measurements.series import SeriesModel
from inversesr.volume import Grid, Volume
from inversesr.workflows.series.config import SeriesConfig
from tests.workflows.series.test_window import model


def test_the_baseline_of_a_series_at_rest_that_never_changes_is_its_spline():
    found: SeriesModel = model(4)
    y = torch.rand(1, 8, 8, 4, generator=torch.Generator().manual_seed(0)).expand(4, -1, -1, -1)
    frames = baseline(y, found)
    assert frames.shape == (8, 8, 8, 8)
    assert np.allclose(frames, frames[:1], atol=1e-5)


def test_slices_of_a_head_lie_across_the_body():
    data = np.zeros((20, 30, 40), np.float32)
    data[5:15, 5:25, 5:35] = 1.0
    affine = np.array([[0, 0, 1.0, 0], [1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]])
    turned = upright(Volume(data, Grid((20, 30, 40), affine)), 16)
    assert turned.grid.shape == (16, 16, 16)
    assert turned.grid.axcodes == "RAS"


@pytest.mark.slow
def test_a_row_tells_what_was_gained(tmp_path):
    rng = np.random.default_rng(0)
    i, j, k = np.meshgrid(*[np.arange(36.0)] * 3, indexing="ij")
    inside = np.hypot(np.hypot(i - 18, j - 18), k - 18) < 15
    x = inside * (100 + 20 * np.sin(i / 3) * np.cos(k / 2.5) + rng.uniform(0, 5, i.shape))
    nibabel.save(nibabel.Nifti1Image(x.astype(np.float32), np.eye(4)), tmp_path / "head.nii.gz")
    (row,) = measure_series(
        [tmp_path / "head.nii.gz"],
        [4.0],
        SeriesTask(n_volumes=30),
        SeriesConfig(solver="spline"),
        36,
        lambda *_: None,
    )
    assert row.change_db > row.spline_change_db
    assert row.tsnr > row.thick_tsnr
    assert 0.0 <= row.found <= 1.0
