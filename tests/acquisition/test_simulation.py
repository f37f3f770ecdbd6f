import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from scipy.special import ive

from inversesr.acquisition.geometry import describe_acquisition, fine_grid, forward_operator
from inversesr.acquisition.simulation import simulate, slice_axis_towards
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.volume import Grid, Volume

SHAPE = (24, 22, 20)


def grid_of(shape=SHAPE, spacing_mm=(1.0, 1.1, 1.0)):
    affine = np.eye(4)
    turn = Rotation.from_rotvec([0.1, 0.2, -0.15]).as_matrix()
    affine[:3, :3] = turn * np.array(spacing_mm)
    affine[:3, 3] = [-12.0, 30.0, 5.0]
    return Grid(shape, affine)


def centre(grid):
    return grid.affine @ np.append((np.array(grid.shape) - 1) / 2.0, 1.0)


def smooth_head(seed=0):
    noise = np.random.default_rng(seed).standard_normal(SHAPE)
    field = gaussian_filter(noise, 3.0)
    return (100.0 + 20.0 * field / field.std()).astype(np.float32)


@pytest.mark.parametrize("profile", ["rect", "gaussian", "slr"])
@pytest.mark.parametrize("rotate", [0.0, 12.0])
def test_a_constant_image_stays_constant(profile, rotate):
    truth = Volume(np.full(SHAPE, 7.0, np.float32), grid_of())
    scan = simulate(truth, SimulateConfig(thickness_mm=3.7, profile=profile, rotate=rotate))
    np.testing.assert_allclose(scan.data, 7.0, rtol=1e-5)


@pytest.mark.parametrize("thickness_mm", [3.0, 4.0, 3.7, 6.1])
@pytest.mark.parametrize("axis", ["R", "A", "S"])
def test_the_slices_cover_the_image_and_start_at_a_voxel_edge(axis, thickness_mm):
    truth = Volume(np.ones(SHAPE, np.float32), grid_of())
    scan = simulate(truth, SimulateConfig(thickness_mm=thickness_mm, axis=axis))
    a = slice_axis_towards(truth.grid, axis)
    assert scan.grid.spacing_mm[a] == pytest.approx(thickness_mm)
    truth_from_scan = np.linalg.inv(truth.grid.affine) @ scan.grid.affine
    first, last = np.full(3, -0.5), np.array(scan.grid.shape) - 0.5
    start = (truth_from_scan @ np.append(first, 1.0))[:3] + 0.5
    stop = (truth_from_scan @ np.append(last, 1.0))[:3] + 0.5
    np.testing.assert_allclose(start, np.round(start), atol=1e-9)
    assert (start <= 1e-9).all()
    assert (stop >= np.array(SHAPE) - 1e-9).all()
    other = [b for b in range(3) if b != a]
    assert [scan.grid.shape[b] for b in other] == [SHAPE[b] for b in other]


@pytest.mark.parametrize("profile", ["rect", "gaussian", "slr"])
@pytest.mark.parametrize("rotate", [0.0, 8.0])
def test_the_average_of_a_ramp_is_its_value_at_the_slice_centre(profile, rotate):
    # far from the border: there the ramp is cut off
    shape = (40, 38, 36)
    grid = grid_of(shape)
    slope = np.array([1.0, -2.0, 3.0])

    def ramp(g):
        voxels = np.indices(g.shape).reshape(3, -1)
        world = g.affine[:3, :3] @ voxels + g.affine[:3, 3:]
        return (1000.0 + slope @ world).reshape(g.shape)

    truth = Volume(ramp(grid).astype(np.float32), grid)
    scan = simulate(truth, SimulateConfig(thickness_mm=4.0, profile=profile, rotate=rotate))
    inside = (slice(14, 26), slice(14, 24), slice(3, -3))
    np.testing.assert_allclose(scan.data[inside], ramp(scan.grid)[inside], atol=0.01)


@pytest.mark.parametrize("profile", ["rect", "gaussian", "slr"])
@pytest.mark.parametrize("gap_mm", [0.0, 1.0])
def test_simulated_slices_agree_with_the_forward_model(profile, gap_mm):
    truth = Volume(smooth_head(), Grid(SHAPE, np.eye(4)))
    settings = SimulateConfig(thickness_mm=5.0 - gap_mm, gap_mm=gap_mm, profile=profile)
    scan = simulate(truth, settings)
    config = Config(profile=profile, thickness_mm=5.0 - gap_mm, gap_mm=gap_mm)
    acquisition = describe_acquisition(Scan.made_here(scan), config)
    fine = fine_grid(scan.grid, acquisition)
    assert fine.same_as(truth.grid)
    y = forward_operator(scan.grid, fine, acquisition)(torch.from_numpy(truth.data)).numpy()
    off = np.abs(scan.data - y) / np.ptp(truth.data)
    # the outermost slices of wide profiles reach beyond the image, where the two differ by design
    inner = slice(1, -1) if profile != "rect" else slice(None)
    assert off[:, :, inner].max() < 0.012


@pytest.mark.parametrize("profile", ["rect", "gaussian", "slr"])
@pytest.mark.parametrize("axis", ["R", "A", "S"])
def test_no_tilt_is_the_limit_of_a_small_one(axis, profile):
    truth = Volume(smooth_head(), grid_of())
    settings = {"thickness_mm": 3.7, "gap_mm": 0.4, "axis": axis, "profile": profile}
    straight = simulate(truth, SimulateConfig(**settings))
    tilted = simulate(truth, SimulateConfig(**settings, rotate=1e-6))
    np.testing.assert_allclose(tilted.data, straight.data, atol=1e-3)  # of a range of about 100


def test_a_tilted_scan_keeps_its_centre_and_its_voxels():
    truth = Volume(smooth_head(), grid_of())
    straight = simulate(truth, SimulateConfig(thickness_mm=4.0))
    tilted = simulate(truth, SimulateConfig(thickness_mm=4.0, rotate=10.0))
    np.testing.assert_allclose(centre(tilted.grid), centre(straight.grid), atol=1e-9)
    np.testing.assert_allclose(tilted.grid.spacing_mm, straight.grid.spacing_mm)
    cosine = straight.grid.directions[:, 2] @ tilted.grid.directions[:, 2]
    assert np.rad2deg(np.arccos(cosine)) == pytest.approx(10.0)
    assert np.linalg.det(tilted.grid.directions) == pytest.approx(1.0)


@pytest.mark.parametrize("snr", [1.5, 3.0, 20.0])
def test_noise_has_the_moments_of_a_rician_distribution(snr):
    shape = (40, 40, 40)
    truth = Volume(np.full(shape, 100.0, np.float32), Grid(shape, np.eye(4)))
    scan = simulate(truth, SimulateConfig(thickness_mm=2.0, noise=1.0 / snr, seed=1))
    found, sigma = scan.data.astype(np.float64), 100.0 / snr
    half = snr**2 / 4.0
    mean = np.sqrt(np.pi / 2.0) * ((1.0 + 2.0 * half) * ive(0, half) + 2.0 * half * ive(1, half))
    assert found.mean() == pytest.approx(sigma * mean, rel=0.01)
    assert np.mean(found**2) == pytest.approx(100.0**2 + 2.0 * sigma**2, rel=0.02)


def test_the_same_seed_gives_the_same_scan():
    truth = Volume(smooth_head(), grid_of())
    scans = [
        simulate(truth, SimulateConfig(thickness_mm=4.0, noise=0.03, seed=seed)).data
        for seed in (4, 4, 5)
    ]
    assert np.array_equal(scans[0], scans[1])
    assert not np.array_equal(scans[0], scans[2])


def test_a_magnitude_does_not_become_negative():
    data = np.zeros(SHAPE, np.float32)
    data[8:16, 8:16, 5:15] = 100.0
    scan = simulate(Volume(data, grid_of()), SimulateConfig(thickness_mm=3.0, rotate=7.0))
    assert scan.data.min() >= 0.0
    assert scan.data.dtype == np.float32


def test_too_few_slices_are_refused():
    with pytest.raises(InputError, match="are 2 in an image of 20 mm"):
        simulate(Volume(smooth_head(), grid_of()), SimulateConfig(thickness_mm=10.0))


def test_slices_thinner_than_those_of_the_image_are_refused():
    with pytest.raises(InputError, match="not coarser"):
        simulate(Volume(smooth_head(), grid_of()), SimulateConfig(thickness_mm=1.0))


@pytest.mark.parametrize(("axis", "expected"), [("R", 2), ("A", 0), ("S", 1)])
def test_the_slice_axis_is_found_by_its_direction_in_the_world(axis, expected):
    affine = np.array([[0, 0, -1.0, 0], [1, 0.1, 0, 0], [-0.1, 1, 0, 0], [0, 0, 0, 1]])
    assert slice_axis_towards(Grid(SHAPE, affine), axis) == expected
