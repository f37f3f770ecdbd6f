import csv

import nibabel
import numpy as np
import pytest

from inversesr.dwi.radiomics import features_of
from inversesr.errors import InputError
from inversesr.volume import Grid, Volume
from inversesr.workflows.radiomics import on_grid, radiomics_table

THIN, THICK = np.diag([2.0, 2, 2, 1]), np.diag([2.0, 2, 4, 1])
THICK[2, 3] = 1.0


def save(path, data, affine):
    nibabel.save(nibabel.Nifti1Image(data, affine), path)
    return path


def test_a_map_is_interpolated_on_the_voxels_of_the_mask():
    ramp = np.broadcast_to(np.arange(4.0, dtype=np.float32) * 4 + 1, (3, 3, 4)).copy()
    found = on_grid(Volume(ramp, Grid((3, 3, 4), THICK)), Grid((3, 3, 8), THIN))
    np.testing.assert_allclose(found[0, 0, 1:-1], 2.0 * np.arange(1, 7), atol=1e-5)


def test_each_map_is_a_row_of_features(tmp_path):
    data = np.random.default_rng(0).uniform(5e-4, 2e-3, (8, 8, 8)).astype(np.float32)
    mask = np.zeros((8, 8, 8), np.uint8)
    mask[2:6, 2:6, 2:6] = 1
    thin = save(tmp_path / "thin.nii.gz", data, THIN)
    thick = save(tmp_path / "thick.nii.gz", data.reshape(8, 8, 4, 2).mean(3), THICK)
    region = save(tmp_path / "mask.nii.gz", mask, THIN)
    rows = radiomics_table([thick, thin], region, tmp_path / "out.csv")
    assert [row["case"] for row in rows] == ["thick", "thin"]
    expected = features_of(data, mask > 0)
    assert rows[1]["stat_mean"] == pytest.approx(expected["stat_mean"])
    assert rows[0]["stat_var"] < rows[1]["stat_var"]
    with (tmp_path / "out.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    with pytest.raises(InputError, match="expected a width above 0"):
        radiomics_table([thin], region, tmp_path / "other.csv", 0.0)
