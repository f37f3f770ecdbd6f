import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline

from inversesr.operators.interpolation import spline
from inversesr.volume import Grid
from tests.support.laws import check_operator, normal

SCAN = Grid((6, 7, 8), np.diag([1.0, 1.0, 4.0, 1.0]))
FINE = SCAN.respaced((6, 7, 32), (1.0, 1.0, 1.0))


class AsOperator:
    """Interpolation is linear; its transpose is left to autograd."""

    in_shape, out_shape = SCAN.shape, FINE.shape

    def __call__(self, y):
        return spline(y, SCAN, FINE)

    def adjoint(self, x):
        y = torch.zeros(self.in_shape, dtype=x.dtype, requires_grad=True)
        return torch.autograd.grad(self(y), y, x)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_interpolation_is_linear(dtype):
    check_operator(AsOperator(), dtype)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_each_line_is_the_natural_cubic_spline_of_scipy(axis):
    spacing, fine_spacing = np.ones(3), np.ones(3)
    spacing[axis], fine_spacing[axis] = 3.3, 1.1
    shape = tuple(9 if a == axis else 4 for a in range(3))
    fine_shape = tuple(27 if a == axis else 4 for a in range(3))
    scan = Grid(shape, np.diag([*spacing, 1.0]))
    fine = scan.respaced(fine_shape, tuple(fine_spacing))
    y = normal(shape, 0)
    centres = (np.arange(9) - 4.0) * 3.3
    positions = (np.arange(27) - 13.0) * 1.1
    line = CubicSpline(centres, y.numpy(), axis=axis, bc_type="natural")
    expected = line(np.clip(positions, centres[0], centres[-1]))
    np.testing.assert_allclose(spline(y, scan, fine).numpy(), expected, atol=1e-12)


def test_the_slice_centres_keep_their_values():
    fine = SCAN.respaced((6, 7, 24), (1.0, 1.0, 4.0 / 3.0))
    y = normal(SCAN.shape, 1)
    torch.testing.assert_close(spline(y, SCAN, fine)[:, :, 1::3], y)


def test_straight_ramps_stay_straight_between_the_outer_centres():
    y = torch.arange(8, dtype=torch.float64).expand(SCAN.shape)
    x = spline(y, SCAN, FINE)[0, 0]
    expected = (torch.arange(32, dtype=torch.float64) - 1.5) / 4.0
    torch.testing.assert_close(x, expected.clamp(0.0, 7.0))


def test_beyond_the_outer_centres_the_outer_value_is_kept():
    y = normal(SCAN.shape, 2)
    x = spline(y, SCAN, FINE)
    torch.testing.assert_close(x[:, :, :2], y[:, :, :1].expand(-1, -1, 2))
    torch.testing.assert_close(x[:, :, -2:], y[:, :, -1:].expand(-1, -1, 2))


def test_nothing_to_refine_gives_the_scan_itself():
    y = normal(SCAN.shape, 3, torch.float32)
    x = spline(y, SCAN, SCAN)
    assert torch.equal(x, y)
    assert x.dtype == torch.float32
