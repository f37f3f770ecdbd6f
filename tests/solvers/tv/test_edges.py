import numpy as np
import pytest
import torch

from inversesr.solvers.tv.edges import FLOOR, edge_field
from tests.support.laws import normal

REACH = (1.0, 1.0, 1.0)


def plane(direction, shape=(20, 20, 20)):
    """A soft edge across a direction through the middle."""
    unit = np.array(direction) / np.linalg.norm(direction)
    place = sum(u * (i - 9.5) for u, i in zip(unit, np.indices(shape), strict=True))
    return torch.from_numpy(np.tanh(place)), unit


@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 0, 1), (1, 1, 0), (2, -1, 3)])
def test_the_normal_of_a_plane_is_found(direction):
    image, unit = plane(direction)
    field = torch.stack(edge_field(image, REACH))[:, 10, 10, 10].numpy()
    assert np.linalg.norm(field) > 0.9
    assert abs(field @ unit) == pytest.approx(np.linalg.norm(field), rel=0.01)


def test_certainty_is_below_one_and_low_in_noise():
    noise = edge_field(normal((24, 24, 24), 0), REACH)
    certainty = torch.stack(noise).square().sum(dim=0)
    assert float(certainty.max()) < 1.0
    image, _ = plane((1, 2, 3))
    edge = torch.stack(edge_field(image, REACH)).square().sum(dim=0)[10, 10, 10]
    assert float(certainty.mean()) < 0.5 * float(edge)


def test_a_constant_image_has_no_edges():
    assert all(float(m.abs().max()) == 0.0 for m in edge_field(torch.full((6, 6, 6), 7.0), REACH))


def test_a_unit_of_intensity_is_only_a_unit():
    image, _ = plane((1, 2, 3))
    for one, thousand in zip(
        edge_field(image, REACH), edge_field(1000.0 * image, REACH), strict=True
    ):
        torch.testing.assert_close(one, thousand)


@pytest.mark.parametrize("share", [0.1, 1.0, 4.0])
def test_certainty_falls_where_changes_are_below_the_floor(share):
    """On a slope of s a voxel it is s^2 / (s^2 + floor^2), with the floor a share of the range."""
    slope = share * FLOOR
    down = torch.zeros(40)
    down[5:] = 1.0 - slope * torch.arange(35).clamp(min=10.0).sub(10.0)
    image = down[:, None, None].expand(40, 6, 6)
    certainty = torch.stack(edge_field(image, REACH)).square().sum(dim=0)[28, 3, 3]
    assert float(certainty) == pytest.approx(share**2 / (share**2 + 1.0), rel=0.01)
