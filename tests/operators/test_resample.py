import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from inversesr.operators import resample
from inversesr.operators.resample import RigidResample
from inversesr.volume import Grid
from tests.support.laws import TOLERANCES, check_operator, normal


def oblique(shape, seed, spacing_mm=(1.0, 1.3, 2.1)):
    affine = np.eye(4)
    turn = Rotation.from_rotvec(0.3 * np.random.default_rng(seed).standard_normal(3)).as_matrix()
    affine[:3, :3] = turn * np.array(spacing_mm)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2.0)
    return Grid(shape, affine)


def motion(seed):
    rng = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(0.2 * rng.standard_normal(3)).as_matrix()
    pose[:3, 3] = rng.standard_normal(3)
    return pose


@pytest.mark.parametrize("dtype", list(TOLERANCES))
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_resampling_obeys_the_laws(dtype, seed):
    W = RigidResample(oblique((7, 6, 5), seed), oblique((6, 8, 4), seed + 10), motion(seed))
    check_operator(W, dtype)


def test_slabs_change_nothing(monkeypatch):
    W = RigidResample(oblique((7, 6, 5), 0), oblique((6, 8, 4), 1), motion(2))
    x, y = normal(W.in_shape, 0), normal(W.out_shape, 1)
    whole, spread = W(x), W.adjoint(y)
    monkeypatch.setattr(resample, "SLAB_VOXELS", 40)
    torch.testing.assert_close(W(x), whole)
    torch.testing.assert_close(W.adjoint(y), spread)
    check_operator(W)


def test_the_same_grid_gives_the_same_image():
    grid = oblique((5, 6, 7), 3)
    x = normal(grid.shape, 4)
    torch.testing.assert_close(RigidResample(grid, grid, np.eye(4))(x), x)


def test_a_shift_of_whole_voxels_copies_and_fills_with_zeros():
    grid = Grid((6, 6, 6), np.diag([2.0, 2.0, 2.0, 1.0]))
    pose = np.eye(4)
    pose[0, 3] = 4.0
    x = normal(grid.shape, 5)
    moved = RigidResample(grid, grid, pose)(x)
    torch.testing.assert_close(moved[:4], x[2:])
    assert float(moved[4:].abs().max()) < 1e-12


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_linear_interpolation_is_that_of_scipy(seed):
    source, target, pose = oblique((8, 9, 7), seed), oblique((6, 5, 8), seed + 20), motion(seed)
    x = normal(source.shape, seed)
    voxels = np.stack([i.ravel() for i in np.indices(target.shape)] + [np.ones(6 * 5 * 8)])
    coordinates = np.linalg.inv(source.affine) @ pose @ target.affine @ voxels
    # a margin of zeros, because scipy stops at the centre of the last voxel
    padded = np.pad(x.numpy(), 1)
    expected = map_coordinates(padded, coordinates[:3] + 1.0, order=1, mode="constant")
    found = RigidResample(source, target, pose)(x)
    np.testing.assert_allclose(found.numpy(), expected.reshape(target.shape), atol=1e-10)


def test_a_single_slice_is_seen_only_where_it_lies():
    source = Grid((4, 4, 1), np.eye(4))
    target = Grid((4, 4, 5), np.eye(4))
    x = torch.ones(source.shape, dtype=torch.float64)
    found = RigidResample(source, target, np.eye(4))(x)
    torch.testing.assert_close(found[..., 0], x[..., 0])
    assert float(found[..., 1:].abs().max()) == 0.0
