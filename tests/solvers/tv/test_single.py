import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import describe_acquisition
from inversesr.config import Config
from inversesr.io.nifti import Scan
from inversesr.measurements.slices import Task
from inversesr.operators.interpolation import spline
from inversesr.operators.separable import SeparableOperator
from inversesr.solvers.setup import Setup
from inversesr.solvers.tv import single as module
from inversesr.solvers.tv.edges import edge_field
from inversesr.solvers.tv.single import SHARE_OF_NOISE, SHARE_OF_THIN, SOLVER, TV, restore, tv
from inversesr.volume import Grid, Volume
from tests.support.convex import first_order, least_variation, second_order, variation
from tests.support.laws import dense, normal

SHAPE, N_SLICES = (20, 18, 24), 6
MATRIX = np.kron(np.eye(N_SLICES), np.full((1, 4), 0.25))
# What tv minimises, from its formula: factors of both orders, and weights along the three axes.
BETA, FIRST, SECOND, SURENESS = 1.75, (1.0, 1.0, 1.0), (0.7, 0.7, 1.0), 0.87
# few enough voxels for an interior-point solver
SMALL = (6, 5, 8)


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


def functional(shape, normals=None):
    """The terms of what tv minimises, where edges run as their normals say."""
    surer = None if normals is None else [SURENESS * m for m in normals]
    return [
        (BETA, first_order(shape, FIRST, normals)),
        (1.0, second_order(shape, SECOND, surer)),
    ]


def small_scan():
    """Noisy thick slices of a blob, and a first guess that reproduces them."""
    A = SeparableOperator(SMALL, (None, None, np.kron(np.eye(2), np.full((1, 4), 0.25))))
    i, j, k = np.indices(SMALL)
    inside = (i - 2) ** 2 + (j - 2) ** 2 + (k - 4) ** 2 / 4 < 5
    truth = torch.from_numpy(np.where(inside, 100.0, 20.0))
    y = A(truth) + 3.0 * normal(A.out_shape, 9)
    return A, y, 4.0 * A.adjoint(y), truth


def optimum(A, y, sigma, terms):
    return least_variation(dense(A).numpy(), y.numpy().ravel(), sigma * y.numel() ** 0.5, terms)


@pytest.fixture
def patience(monkeypatch):
    """Steps until nothing changes any more."""
    monkeypatch.setattr(module, "N_STEPS", 1500)
    monkeypatch.setattr(module, "TOLERANCE", 0.0)


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


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("sigma", [0.0, 3.0])
def test_before_edges_are_found_the_image_is_that_of_an_interior_point_solver(monkeypatch, sigma):
    monkeypatch.setattr(module, "EDGES_AFTER", (10**9,))
    A, y, x0, _ = small_scan()
    expected = optimum(A, y, sigma, functional(SMALL))
    found = solve(A, y, x0, sigma).x.numpy().ravel()
    np.testing.assert_allclose(found, expected, atol=0.05)


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("sigma", [0.0, 3.0])
def test_along_known_edges_the_image_is_that_of_an_interior_point_solver(monkeypatch, sigma):
    A, y, x0, truth = small_scan()
    normals = edge_field(truth, (1.8, 1.8, 1.8))
    assert max(float(m.abs().max()) for m in normals) > 0.6
    monkeypatch.setattr(module, "EDGES_AFTER", (1, 2))
    monkeypatch.setattr(module, "edge_field", lambda _x, _reach: [m.clone() for m in normals])
    terms = functional(SMALL, [m.numpy() for m in normals])
    expected = optimum(A, y, sigma, terms)
    found = solve(A, y, x0, sigma).x.numpy().ravel()
    least = variation(expected, terms)
    assert variation(found, terms) - least < 1e-3 * (variation(x0, terms) - least)


@pytest.mark.parametrize("sigma", [0.0, 3.0])
def test_the_usual_number_of_steps_comes_near_to_the_least_variation(monkeypatch, sigma):
    monkeypatch.setattr(module, "EDGES_AFTER", (10**9,))
    A, y, x0, _ = small_scan()
    terms = functional(SMALL)
    least = variation(optimum(A, y, sigma, terms), terms)
    found = variation(solve(A, y, x0, sigma).x, terms)
    assert found - least < 0.03 * (variation(x0, terms) - least)


def test_an_edge_that_runs_obliquely_through_the_slices_is_continued_along_itself():
    i, j, k = np.indices(SHAPE)
    place = ((i - 9.5) + (j - 8.5) + 0.7 * (k - 11.5)) / 2.49**0.5
    truth = torch.from_numpy(20.0 + 80.0 / (1.0 + np.exp(-4.0 * place)))
    A, y, x0 = scan_of(truth)
    error = float((solve(A, y, x0, 0.0).x - truth).norm() / (x0 - truth).norm())
    # measured: 0.39; where edges are found but once 0.45, never 0.59
    assert error < 0.43


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


@pytest.mark.parametrize(
    ("thickness_mm", "consistency", "share"),
    [
        (4.0, "exact", 1.0),
        (4.0, "noise", SHARE_OF_NOISE),
        (4.0, "off", SHARE_OF_NOISE),
        (1.2, "exact", 1.0),
        (1.2, "noise", SHARE_OF_THIN),
    ],
)
def test_a_scan_is_met_to_within_its_noise_or_nearer_where_nothing_mends_it_afterwards(
    thickness_mm, consistency, share
):
    grid = Grid((10, 9, 6), np.diag([1.0, 1.0, thickness_mm, 1.0]))
    data = np.random.default_rng(0).uniform(20, 90, grid.shape).astype(np.float32)
    acquisition = describe_acquisition(Scan.made_here(Volume(data, grid)), Config(spacing_mm=1.0))
    task = Task(torch.from_numpy(data), grid, acquisition, 9.0)
    x = restore(task, Setup(SOLVER, TV(), None, consistency)).x
    rms = float((task.A(x) - task.y).square().mean().sqrt())
    assert rms == pytest.approx(share * task.sigma, rel=1e-3)
