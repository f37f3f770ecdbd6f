from dataclasses import replace

import nibabel
import numpy as np
import pytest

from inversesr.dwi.config import DwiConfig
from inversesr.errors import InputError
from inversesr.io.gradients import gradient_files, read_gradients, read_series
from inversesr.workflows.dwi_restore import (
    describe_series,
    noise_of,
    not_negative,
    restore_series,
)
from tests.support.diffusion import AFFINE, fine_head, thickened, write_series


def read(path):
    series = read_series(path)
    return series, read_gradients(*gradient_files(path, None, None), len(series.data), "scan")


@pytest.fixture(scope="module")
def head():
    return fine_head((24, 24, 24), n=6, noise=12.0)


@pytest.fixture(scope="module")
def given(head, tmp_path_factory):
    return read(write_series(tmp_path_factory.mktemp("dwi"), thickened(head, 2)))


@pytest.fixture(scope="module")
def restored(given):
    return restore_series(*given, DwiConfig())


def test_thin_slices_are_as_far_apart_as_voxels_within_slices(given):
    acquisition, n_thin = describe_series(given[0], DwiConfig())
    assert n_thin == 2
    assert acquisition.fine_spacing_mm == pytest.approx((2.0, 2.0, 2.0))


def test_a_spacing_is_rounded_to_whole_slices(given):
    acquisition, n_thin = describe_series(given[0], DwiConfig(spacing_mm=1.3))
    assert n_thin == 3
    # within slices nothing changes
    assert acquisition.fine_spacing_mm == pytest.approx((2.0, 2.0, 4.0 / 3.0))


def test_every_volume_reproduces_its_slices(given, restored):
    thick = given[0].data
    again = thickened(restored.data, 2)
    scale = np.ptp(thick, axis=(1, 2, 3), keepdims=True)
    assert (np.abs(again - thick) / scale).max() < 1e-5
    assert restored.largest_share < 1e-5


def test_the_image_is_nearer_to_the_truth_than_interpolation(given, restored, head):
    from scipy.ndimage import zoom

    inside = head[0] > 400
    for v in (0, 3):
        # cubic interpolation at the centres of thin slices
        spline = zoom(given[0].data[v], (1, 1, 2), order=3, mode="nearest", grid_mode=True)
        errors = [np.std((x - head[v])[inside]) for x in (restored.data[v], spline)]
        assert errors[0] < 0.9 * errors[1]


def test_axes_and_handedness_stay(given, restored):
    thick, thin = given[0].scan.volume.grid.affine, restored.grid.affine
    assert np.sign(np.linalg.det(thin[:3, :3])) == np.sign(np.linalg.det(thick[:3, :3]))
    np.testing.assert_allclose(thin[:3, :3] @ np.diag([1, 1, 2]), thick[:3, :3], atol=1e-6)


def test_slices_along_another_axis_give_the_same_image(head, tmp_path):
    data = thickened(head, 2)
    turned = np.ascontiguousarray(np.moveaxis(data, 3, 1))
    affine = AFFINE[:, [2, 0, 1, 3]]
    path = write_series(tmp_path, turned, "turned", affine)
    found = restore_series(*read(path), DwiConfig())
    assert found.data.shape == (7, 24, 24, 24)
    again = found.data.reshape(7, 12, 2, 24, 24).mean(axis=2)
    np.testing.assert_allclose(again, turned, atol=0.5)


def test_the_noise_is_that_of_weighted_volumes(given):
    rng = np.random.default_rng(0)
    data = (500.0 + rng.normal(0, 12.0, (7, 24, 24, 12))).astype(np.float32)
    data[0] = 500.0 + 10.0 * (data[0] - 500.0)
    assert noise_of(replace(given[0], data=data), given[1], 2) == pytest.approx(12.0, rel=0.15)


def test_details_never_go_below_zero_and_the_mean_stays():
    thick = np.array([10.0, 1.0], np.float32)
    thin = thick[:, None] + np.array([[-4.0, 4.0], [-4.0, 4.0]], np.float32)
    found = not_negative(thin, thick)
    assert found.tolist() == [[6.0, 14.0], [0.0, 2.0]]


def test_isotropic_series_are_refused(tmp_path):
    path = write_series(tmp_path, fine_head((8, 8, 8), n=6), affine=np.diag([2.0, 2, 2, 1]))
    with pytest.raises(InputError, match="nothing to refine"):
        restore_series(*read(path), DwiConfig())
    assert nibabel.load(path).shape == (8, 8, 8, 7)
