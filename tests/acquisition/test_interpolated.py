import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from inversesr.acquisition.interpolated import find_interpolated
from inversesr.io.nifti import read_scan
from inversesr.operators.slice_interpolation import interpolation_matrix
from inversesr.volume import Grid, Volume
from tests.support.heads import head_volume

NO_DATA = "set INVERSESR_TEST_DATA to the folder of real scans"
FOLDER = os.environ.get("INVERSESR_TEST_DATA", "")
SHAPE = (48, 52, 28)


def sharp_head(spacing_mm=(1.0, 1.0, 4.0), shape=SHAPE, seed=0):
    return head_volume(shape, spacing_mm, seed, noise=12.0, folds=40.0)


def interpolated(volume, kind, factor, axis=2):
    """Interpolate the slices of a scan to a whole number of times as many."""
    n = volume.grid.shape[axis]
    places = (np.arange(n * factor) - (factor - 1) / 2.0) / factor
    y = np.moveaxis(volume.data, axis, -1) @ interpolation_matrix(kind, places, n).T
    y = np.moveaxis(np.abs(y), -1, axis).astype(np.float32)
    spacing = list(volume.grid.spacing_mm)
    spacing[axis] /= factor
    return Volume(y, Grid(y.shape, np.diag([*spacing, 1.0])))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 4.0), (1.0, 1.0, 1.0), (0.9, 0.9, 5.5)])
def test_a_scan_as_it_was_measured_is_not_taken_for_interpolated(spacing_mm, seed):
    assert find_interpolated(sharp_head(spacing_mm, seed=seed)) is None


@pytest.mark.parametrize("kind", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("factor", [2, 4])
def test_interpolated_slices_are_found_with_their_distance(kind, factor):
    found = find_interpolated(interpolated(sharp_head(), kind, factor))
    assert (found.axis, found.kind, found.is_exact) == (2, kind, True)
    assert found.slice_mm == pytest.approx(4.0)
    assert found.cutoff_per_mm == pytest.approx(0.125)
    assert "ends at 0.12 cycles/mm" in found.words("RAS", 4.0 / factor)


@pytest.mark.parametrize("axis", [0, 1])
def test_any_axis_may_be_the_interpolated_one(axis):
    spacing, shape = [1.0, 1.0, 1.0], [48, 52, 50]
    spacing[axis], shape[axis] = 4.0, 28
    found = find_interpolated(
        interpolated(sharp_head(tuple(spacing), tuple(shape)), "cubic", 4, axis)
    )
    assert found.axis == axis


def test_where_power_ends_is_enough_when_the_slices_were_changed_afterwards():
    noise = np.random.default_rng(1).normal(size=(64, 64, 64))
    smooth = gaussian_filter1d(noise, 1.6, axis=2)
    y = 500.0 + 100.0 * smooth / smooth.std() + 0.5 * noise
    found = find_interpolated(Volume(y.astype(np.float32), Grid(y.shape, np.eye(4))))
    assert (found.axis, found.is_exact) == (2, False)
    assert 2.0 < found.slice_mm < 6.0
    assert "slices about" in found.words("RAS", 1.0)


def test_an_image_that_is_smooth_along_every_axis_is_not_taken_for_interpolated():
    y = np.random.default_rng(1).normal(size=(64, 64, 64))
    for axis in range(3):
        y = gaussian_filter1d(y, 1.6, axis=axis)
    y = 500.0 + 100.0 * y / y.std()
    assert find_interpolated(Volume(y.astype(np.float32), Grid(y.shape, np.eye(4)))) is None


def test_an_axis_that_was_interpolated_within_the_slices_is_none_of_thick_slices():
    volume = interpolated(sharp_head((1.8, 1.8, 6.0)), "linear", 2, axis=0)
    assert find_interpolated(volume) is None


def test_what_was_found_is_remembered_with_the_image():
    volume = interpolated(sharp_head(), "linear", 2)
    assert find_interpolated(volume) is find_interpolated(volume)
    assert find_interpolated(replace(volume)) == find_interpolated(volume)


@pytest.mark.data
@pytest.mark.skipif(not Path(FOLDER, "clinical").is_dir(), reason=NO_DATA)
def test_no_clinical_scan_is_taken_for_interpolated_until_it_is():
    scans = sorted(Path(FOLDER, "clinical").glob("*.nii.gz"))
    assert len(scans) > 10
    for path in scans:
        volume = read_scan(path).volume
        assert find_interpolated(volume) is None, path.name
        if volume.grid.spacing_mm[2] > 4.0:
            for kind in ("linear", "cubic", "fourier"):
                found = find_interpolated(interpolated(volume, kind, 2))
                assert found is not None, (path.name, kind)
                assert found.axis == 2
