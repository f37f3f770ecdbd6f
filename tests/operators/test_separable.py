import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from inversesr.operators.proximal import nearest_within, project, prox, sample_posterior
from inversesr.operators.separable import SeparableOperator, apply_along
from tests.support.laws import (
    TOLERANCES,
    check_nearest_within,
    check_operator,
    check_projection,
    check_prox,
    dense,
    normal,
    problem,
)
from tests.support.operators import averaging


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


def test_the_prox_without_noise_is_the_projection(A):
    x0, y = problem(A)
    assert torch.equal(prox(A, x0, y, 1.0, 0.0).x, project(A, x0, y).x)
    assert largest(prox(A, x0, y, 1.0, 1e-13).x - project(A, x0, y).x) < 1e-5


def test_the_projection_reproduces_the_scan_in_float32(A):
    x0, y = problem(A, torch.float32)
    misfit = largest(A(project(A, x0, y).x) - y)
    assert misfit <= 1e-5 * float(y.max() - y.min())


def test_the_closed_forms_are_what_a_dense_solver_finds(A):
    check_prox(A)
    check_projection(A)


@pytest.mark.parametrize("share", [0.9, 0.3, 1e-2, 1e-4])
def test_the_nearest_image_within_a_radius_lies_on_its_sphere(A, share):
    check_nearest_within(A, share)


def test_the_nearest_image_within_a_radius_is_the_lagrangian_one(A):
    x0, y = problem(A)
    radius = 0.2 * float((A(x0) - y).norm())

    def excess(log_alpha):
        return float((A(prox(A, x0, y, np.exp(log_alpha), 1.0).x) - y).norm()) - radius

    alpha = np.exp(brentq(excess, -10.0, 25.0, xtol=1e-8))
    expected = prox(A, x0, y, alpha, 1.0).x
    assert largest(nearest_within(A, x0, y, radius).x - expected) < 1e-4


def test_a_radius_of_zero_is_the_projection(A):
    x0, y = problem(A)
    assert torch.equal(nearest_within(A, x0, y, 0.0).x, project(A, x0, y).x)


def test_the_same_seed_gives_the_same_sample():
    A = OPERATORS["gap"]
    x0, y = problem(A)
    draws = [
        sample_posterior(A, x0, y, (1.0, 0.1), torch.Generator().manual_seed(seed)).x
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_the_condition_number_is_that_of_the_dense_matrix():
    A = SeparableOperator((3, 4, 12), (None, averaging(3, 1.4, 1.4), averaging(6, 2.0, 3.0)))
    M = dense(A)
    expected = torch.linalg.cond(M @ M.T)
    assert A.spectrum.condition_number == pytest.approx(float(expected), rel=1e-6)
