import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from inversesr.operators import conjugate_gradient
from inversesr.operators.separable import SeparableOperator, apply_along
from inversesr.operators.slice_profile import slice_matrix
from tests.support.laws import TOLERANCES, check_operator, dense, normal


def averaging(n_slices, spacing_mm, thickness_mm, profile="rect"):
    """Slices of a line of 1 mm voxels that they just cover."""
    n = round(n_slices * spacing_mm)
    edges = np.arange(n + 1) - n / 2.0
    centres = (np.arange(n_slices) - (n_slices - 1) / 2.0) * spacing_mm
    return slice_matrix(edges, centres, thickness_mm, profile)


def along(axis, matrix, others=(5, 6)):
    shape, matrices = list(others), [None, None]
    shape.insert(axis, matrix.shape[1])
    matrices.insert(axis, matrix)
    return SeparableOperator(tuple(shape), tuple(matrices))


OPERATORS = {
    "whole ratio": along(2, averaging(5, 4.0, 4.0)),
    "slices along axis 0": along(0, averaging(5, 4.0, 4.0)),
    "slices along axis 1": along(1, averaging(5, 4.0, 4.0)),
    "ratio of 3.7": along(2, averaging(6, 3.7, 3.7)),
    "gap": along(2, averaging(5, 5.0, 3.5)),
    "gaussian": along(2, averaging(5, 4.0, 4.0, "gaussian")),
    "slr": along(2, averaging(5, 4.3, 4.0, "slr")),
    "overlap": along(2, averaging(8, 2.0, 3.0)),
    "two coarse axes": SeparableOperator(
        (12, 5, 15), (averaging(6, 2.0, 2.0), None, averaging(4, 3.7, 3.3, "gaussian"))
    ),
    "three coarse axes": SeparableOperator(
        (9, 8, 12), (averaging(6, 1.5, 1.5), averaging(5, 1.6, 1.6), averaging(3, 4.0, 4.0))
    ),
}


@pytest.fixture(params=OPERATORS.values(), ids=OPERATORS.keys())
def A(request):
    return request.param


def problem(A, dtype=torch.float64):
    """An image and a scan of another one with a little noise."""
    x0, truth = normal(A.in_shape, 10, dtype), normal(A.in_shape, 11, dtype)
    return x0, A(truth) + 0.1 * normal(A.out_shape, 12, dtype)


def largest(difference):
    return float(difference.abs().max())


@pytest.mark.parametrize("dtype", list(TOLERANCES))
def test_the_slice_operator_obeys_the_laws(A, dtype):
    check_operator(A, dtype)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_matrix_along_an_axis_is_an_einsum(axis):
    x, matrix = normal((4, 5, 6), 0), normal((3, 4 + axis), 1)
    letters = "ijk"
    equation = f"n{letters[axis]},ijk->{letters.replace(letters[axis], 'n')}"
    torch.testing.assert_close(apply_along(matrix, x, axis), torch.einsum(equation, matrix, x))


def test_the_prox_is_the_one_conjugate_gradients_find(A):
    x0, y = problem(A)
    closed = A.prox(x0, y, 0.5, 0.02)
    iterated = conjugate_gradient.prox(A, x0, y, (0.5, 0.02), n_steps=200)
    assert largest(closed - iterated) < 1e-6


def test_the_prox_without_noise_is_the_projection(A):
    x0, y = problem(A)
    assert torch.equal(A.prox(x0, y, 1.0, 0.0), A.project(x0, y))
    assert largest(A.prox(x0, y, 1.0, 1e-13) - A.project(x0, y)) < 1e-5


def test_the_projection_reproduces_the_scan_in_float32(A):
    x0, y = problem(A, torch.float32)
    misfit = largest(A(A.project(x0, y)) - y)
    assert misfit <= 1e-5 * float(y.max() - y.min())


def test_the_projection_changes_nothing_when_repeated(A):
    x0, y = problem(A)
    once = A.project(x0, y)
    assert largest(A.project(once, y) - once) < 1e-9


def test_the_projection_is_the_nearest_image_that_reproduces_the_scan(A):
    x0, y = problem(A)
    moved = (A.project(x0, y) - x0).reshape(-1)
    step = normal(A.in_shape, 20)
    # project onto the null space of A: what can be added without being measured
    free = A.project(step, torch.zeros_like(y)).reshape(-1)
    assert abs(float(moved @ free)) < 1e-8 * float(moved.norm() * free.norm())


def test_slices_that_say_the_same_thing_twice_give_the_least_squares_image():
    matrix = averaging(3, 4.0, 4.0)
    A = along(2, np.vstack([matrix, matrix[:1]]), (2, 2))
    x0, y = problem(A)
    pseudo_inverse = torch.linalg.pinv(dense(A))
    expected = x0.reshape(-1) + pseudo_inverse @ (y - A(x0)).reshape(-1)
    torch.testing.assert_close(A.project(x0, y).reshape(-1), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("share", [0.9, 0.3, 1e-2, 1e-4])
def test_the_nearest_image_within_a_radius_lies_on_its_sphere(A, share):
    x0, y = problem(A)
    radius = share * float((A(x0) - y).norm())
    misfit = float((A(A.nearest_within(x0, y, radius)) - y).norm())
    assert misfit == pytest.approx(radius, rel=1e-5)


def test_the_nearest_image_within_a_radius_is_the_lagrangian_one(A):
    x0, y = problem(A)
    radius = 0.2 * float((A(x0) - y).norm())

    def excess(log_alpha):
        return float((A(A.prox(x0, y, np.exp(log_alpha), 1.0)) - y).norm()) - radius

    alpha = np.exp(brentq(excess, -10.0, 25.0, xtol=1e-8))
    expected = A.prox(x0, y, alpha, 1.0)
    assert largest(A.nearest_within(x0, y, radius) - expected) < 1e-4


def test_an_image_already_within_the_radius_is_returned_as_it_is(A):
    x0, y = problem(A)
    assert A.nearest_within(x0, y, 2.0 * float((A(x0) - y).norm())) is x0


def test_a_radius_of_zero_is_the_projection(A):
    x0, y = problem(A)
    assert torch.equal(A.nearest_within(x0, y, 0.0), A.project(x0, y))


def test_samples_have_the_mean_and_covariance_of_the_posterior():
    A = SeparableOperator((2, 2, 4), (None, averaging(1, 2.0, 2.0), averaging(2, 2.0, 2.4)))
    x0, y = problem(A)
    r2, sigma2 = 2.0, 0.25
    M = dense(A)
    identity = torch.eye(16, dtype=torch.float64)
    covariance = torch.linalg.inv(identity / r2 + M.T @ M / sigma2)
    mean = covariance @ (x0.reshape(-1) / r2 + M.T @ y.reshape(-1) / sigma2)
    generator = torch.Generator().manual_seed(3)
    n = 6000
    drawn = torch.stack(
        [A.sample_posterior(x0, y, (r2, sigma2), generator).reshape(-1) for _ in range(n)]
    )
    # five standard errors of a mean and of a covariance
    assert largest(drawn.mean(0) - mean) < 5.0 * (r2 / n) ** 0.5
    found = torch.cov(drawn.T)
    assert largest(found - covariance) < 5.0 * r2 * (2.0 / n) ** 0.5
    # where the scan says most, the covariance is small, and must still be right
    measured = M @ covariance @ M.T
    assert largest(M @ found @ M.T - measured) < 5.0 * float(measured.max()) * (2.0 / n) ** 0.5


def test_the_same_seed_gives_the_same_sample():
    A = OPERATORS["gap"]
    x0, y = problem(A)
    draws = [
        A.sample_posterior(x0, y, (1.0, 0.1), torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_the_condition_number_is_that_of_the_dense_matrix():
    A = SeparableOperator((3, 4, 12), (None, averaging(3, 1.4, 1.4), averaging(6, 2.0, 3.0)))
    M = dense(A)
    expected = torch.linalg.cond(M @ M.T)
    assert A.condition_number == pytest.approx(float(expected), rel=1e-6)
