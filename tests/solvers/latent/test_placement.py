import numpy as np
import pytest
import torch

from inversesr.priors.card import GridCard
from inversesr.solvers.latent.placement import (
    hat_matrix,
    place_fixed,
    place_free,
    soft_mask,
)
from inversesr.volume import Grid
from tests.support.laws import check_operator, normal

CARD = GridCard("free", (1.0, 1.0, 1.0), multiple=4)


def grid(shape, spacing):
    return Grid(shape, np.diag([*spacing, 1.0]))


def smooth(shape, spacing):
    """A wave along each axis, sampled about the middle."""
    axes = [(torch.arange(n) - (n - 1) / 2.0) * s for n, s in zip(shape, spacing, strict=True)]
    x, y, z = torch.meshgrid(*[a.double() for a in axes], indexing="ij")
    return torch.cos(0.2 * x) + torch.sin(0.15 * y) + torch.cos(0.1 * z + 0.3)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.5, 0.9, 1.0), (2.0, 0.6, 0.6)])
def test_both_ways_obey_the_laws_of_operators(axis, spacing):
    placed = place_free(grid((7, 9, 6), spacing), axis, CARD)
    check_operator(placed.W)
    check_operator(placed.V)
    assert placed.W.in_shape == placed.V.out_shape == placed.shape
    assert placed.W.out_shape == placed.V.in_shape == (7, 9, 6)
    assert all(n % 4 == 0 for n in placed.shape)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_with_the_same_spacing_nothing_is_interpolated(axis):
    placed = place_free(grid((7, 9, 6), (1.0, 0.9, 1.1)), axis, CARD)
    x = normal((7, 9, 6), 0)
    assert torch.allclose(placed.W(placed.V(x)), x, atol=1e-12)
    seen = placed.V(x)
    inner = x.movedim(axis, -1)
    assert torch.equal(seen[tuple(slice(n) for n in inner.shape)], inner)


# how the axes of one head lie in memory: order and directions of RAS axes
STORED = {"RAS": ((0, 1, 2), ()), "LPS": ((0, 1, 2), (0, 1)), "PIR": ((1, 2, 0), (0, 1))}


def stored(x, way):
    """Return a head whose voxels of 1 mm run as `way` says, and its grid."""
    order, against = STORED[way]
    affine = np.eye(4)[:, [*order, 3]]
    for axis in against:
        affine[:3, 3] += affine[:3, axis] * (x.shape[order[axis]] - 1)
        affine[:3, axis] *= -1.0
    data = x.permute(order).flip(against) if against else x.permute(order)
    return data, Grid(tuple(data.shape), affine)


@pytest.mark.parametrize("way", STORED)
@pytest.mark.parametrize("axis", [0, 2])
def test_an_oriented_prior_sees_the_same_head_however_its_axes_are_stored(way, axis):
    card = GridCard("free", (1.0, 1.0, 1.0), multiple=4, oriented=True)
    x = normal((7, 9, 6), 0)
    data, own = stored(x, way)
    placed = place_free(own, axis, card)
    check_operator(placed.V)
    assert placed.shape == (8, 12, 8)
    assert torch.equal(placed.V(data)[:7, :9, :6], x)
    assert torch.allclose(placed.W(placed.V(data)), data, atol=1e-12)


def test_an_oblique_scan_takes_the_nearest_directions_of_an_oriented_prior():
    card = GridCard("free", (1.0, 1.0, 1.0), axcodes="LPI", multiple=4, oriented=True)
    angle = 0.4
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    x = normal((4, 4, 4), 0)
    placed = place_free(Grid((4, 4, 4), turn), 2, card)
    assert torch.equal(placed.V(x), x.flip(0, 1, 2))


def test_padding_repeats_the_last_voxel():
    placed = place_free(grid((7, 8, 8), (1.0, 1.0, 1.0)), 2, CARD)
    seen = placed.V(normal((7, 8, 8), 0))
    assert placed.shape == (8, 8, 8)
    assert torch.equal(seen[7], seen[6])


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 1.0), (0.6, 2.0, 1.0), (1.7, 1.0, 1.0)])
def test_smooth_images_come_back_from_another_spacing(spacing):
    shape = tuple(round(28 / s) for s in spacing)
    placed = place_free(grid(shape, spacing), 2, CARD)
    x = smooth(shape, spacing)
    there_and_back = placed.W(placed.V(x))
    middle = tuple(slice(n // 5, n - n // 5) for n in shape)
    assert float((there_and_back - x)[middle].abs().max()) < 0.04
    n_inside = [int(np.ceil(n * s - 1e-6)) for n, s in zip(shape, spacing, strict=True)]
    expected = smooth(n_inside, (1.0, 1.0, 1.0))
    seen = placed.V(x)[tuple(slice(n) for n in n_inside)]
    inside = tuple(slice(4, n - 4) for n in n_inside)
    assert float((seen - expected)[inside].abs().max()) < 0.04


def test_every_row_of_a_hat_matrix_averages():
    for matrix in (hat_matrix(10, 24, 0.45, 22), hat_matrix(24, 10, 2.2, 10, inner=22)):
        assert np.allclose(matrix.sum(axis=1), 1.0)
        assert matrix.min() >= 0.0


def rigid(degrees, shift):
    angle = np.deg2rad(degrees)
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    pose[:3, 3] = shift
    return pose


def test_a_fixed_grid_is_reached_and_left_by_the_same_pose():
    fine, prior = grid((20, 18, 16), (1.0, 1.0, 1.2)), grid((24, 24, 24), (1.0, 1.0, 1.0))
    placed = place_fixed(fine, prior, rigid(10.0, (4.0, -1.0, 2.0)))
    check_operator(placed.W)
    check_operator(placed.V)
    x = smooth(fine.shape, fine.spacing_mm)
    reached = placed.W(torch.ones(prior.shape, dtype=torch.float64)) > 0.999
    inside = reached & (placed.W(placed.V(torch.ones_like(x))) > 0.999)
    assert int(inside.sum()) > 1000
    assert float((placed.W(placed.V(x)) - x)[inside].abs().max()) < 0.05


def test_a_soft_mask_rises_from_the_edge_inwards():
    inside = torch.zeros(30, 30, 30)
    inside[5:25] = 1.0
    mask = soft_mask(inside, (1.0, 1.0, 1.0))
    profile = mask[:, 15, 15]
    assert float(profile[:5].abs().max()) == 0.0
    assert bool((profile[5:10].diff() >= 0.0).all())
    assert float(profile[12]) == 1.0
    assert 0.0 < float(profile[6]) < 1.0
    assert torch.equal(soft_mask(torch.ones(4, 4, 4), (1.0, 1.0, 1.0)), torch.ones(4, 4, 4))
