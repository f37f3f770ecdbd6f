import numpy as np
import pytest
import torch

from inversesr.operators.interpolation import spline
from inversesr.operators.separable import SeparableOperator
from inversesr.solvers.tv import single as module
from inversesr.solvers.tv.single import tv
from inversesr.volume import Grid
from tests.support.laws import normal

SHAPE, N_SLICES = (20, 18, 24), 6
MATRIX = np.kron(np.eye(N_SLICES), np.full((1, 4), 0.25))
PAIRS = [(a, b) for a in range(3) for b in range(a, 3)]


def differences(x, axis):
    """Forward differences by torch's own function, zero at the end."""
    return torch.diff(x, dim=axis, append=x.narrow(axis, x.shape[axis] - 1, 1))


def second_differences(x, a, b):
    slope = differences(x, a)
    if a == b:
        return torch.diff(slope, dim=a, prepend=torch.zeros_like(slope.narrow(a, 0, 1)))
    return 2.0**0.5 * differences(slope, b)


def scan_of(truth, sigma=0.0):
    A = SeparableOperator(SHAPE, (None, None, MATRIX))
    y = A(truth) + sigma * normal(A.out_shape, 9, truth.dtype)
    grid = Grid((20, 18, N_SLICES), np.diag([1.0, 1.0, 4.0, 1.0]))
    return A, y, spline(y, grid, grid.respaced(SHAPE, (1.0, 1.0, 1.0)))


def blocks():
    """A bright ellipsoid with a dark one inside."""
    i, j, k = np.indices(SHAPE)
    radius = np.sqrt(((i - 10) / 8) ** 2 + ((j - 9) / 7) ** 2 + ((k - 12) / 10) ** 2)
    return torch.from_numpy(np.where(radius < 0.5, 40.0, np.where(radius < 1.0, 100.0, 10.0)))


def variation(x):
    """The functional that tv minimises, from its formula."""
    first = torch.stack([differences(x, axis) for axis in range(3)])
    weights = (0.7, 0.7, 1.0)
    second = torch.stack([weights[a] * weights[b] * second_differences(x, a, b) for a, b in PAIRS])
    return float(second.norm(dim=0).sum() + 2.5 * first.norm(dim=0).sum())


def solve(A, y, x0, sigma):
    return tv(A, y, x0, sigma, 2, lambda _done, _total: None)


def test_without_noise_the_scan_is_reproduced():
    A, y, x0 = scan_of(blocks().float())
    x = solve(A, y, x0, 0.0).x
    assert float((A(x) - y).abs().max()) < 1e-5 * float(y.max() - y.min())


def test_the_misfit_is_the_noise():
    A, y, x0 = scan_of(blocks(), sigma=3.0)
    misfit = float((A(solve(A, y, x0, 3.0).x) - y).square().mean().sqrt())
    assert misfit == pytest.approx(3.0, rel=1e-3)


@pytest.mark.parametrize("sigma", [0.0, 3.0])
def test_the_image_varies_less_than_the_feasible_start(sigma):
    A, y, x0 = scan_of(blocks(), sigma)
    start = A.nearest_within(x0, y, sigma * y.numel() ** 0.5)
    # how much less: variation across edges is spared
    assert variation(solve(A, y, x0, sigma).x) < 0.97 * variation(start)


def test_more_steps_do_not_vary_more(monkeypatch):
    A, y, x0 = scan_of(blocks(), 3.0)
    few = variation(solve(A, y, x0, 3.0).x)
    monkeypatch.setattr(module, "N_STEPS", 240)
    monkeypatch.setattr(module, "TOLERANCE", 0.0)
    many = variation(solve(A, y, x0, 3.0).x)
    assert many <= few * (1.0 + 1e-6)
    assert many > 0.95 * few


@pytest.mark.parametrize("sigma", [0.0, 5.0])
def test_the_image_is_nearer_to_the_truth_than_the_spline(sigma):
    truth = blocks()
    A, y, x0 = scan_of(truth, sigma)
    error = (solve(A, y, x0, sigma).x - truth).norm()
    assert float(error) < 0.9 * float((x0 - truth).norm())


def test_progress_and_history_count_the_same_steps():
    A, y, x0 = scan_of(blocks(), 3.0)
    seen = []
    solution = tv(A, y, x0, 3.0, 2, lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, solution.n_steps + 1))
    assert len(solution.history["relative_change"]) == solution.n_steps
    assert solution.status in ("converged", f"stopped after {module.N_STEPS} steps")


def test_a_unit_of_intensity_is_only_a_unit():
    A, y, x0 = scan_of(blocks(), 3.0)
    one, thousand = solve(A, y, x0, 3.0), solve(A, 1000.0 * y, 1000.0 * x0, 3000.0)
    torch.testing.assert_close(1000.0 * one.x, thousand.x, rtol=1e-6, atol=1e-2)
    assert one.n_steps == thousand.n_steps
