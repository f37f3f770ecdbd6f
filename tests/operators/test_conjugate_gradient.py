import pytest
import torch

from inversesr.operators.conjugate_gradient import Effort, conjugate_gradient, least_squares
from inversesr.operators.separable import SeparableOperator
from tests.support.laws import dense, normal


def positive_definite(n, seed=0):
    m = normal((n, n), seed)
    return m @ m.T + n * torch.eye(n, dtype=torch.float64)


def test_the_solution_is_that_of_a_dense_solver():
    N, b = positive_definite(30), normal((30,), 1)
    x = conjugate_gradient(lambda d: N @ d, b, torch.zeros_like(b), 60)
    torch.testing.assert_close(x, torch.linalg.solve(N, b), rtol=1e-10, atol=1e-12)


def test_n_steps_solve_equations_with_n_different_eigenvalues():
    eigenvalues = torch.tensor([1.0, 1.0, 4.0, 4.0, 9.0, 9.0], dtype=torch.float64)
    b = normal((6,), 2)
    x = conjugate_gradient(lambda d: eigenvalues * d, b, normal((6,), 3), 3)
    torch.testing.assert_close(x, b / eigenvalues)


def test_a_perfect_first_guess_is_returned_without_a_step():
    N, b = positive_definite(8), torch.ones(8, dtype=torch.float64)
    x0 = torch.linalg.solve(N, b)
    assert conjugate_gradient(lambda d: N @ d, b, x0, 10, tolerance=1e-6) is x0


def test_nothing_to_solve_gives_nothing():
    zeros = torch.zeros(5)
    assert torch.equal(conjugate_gradient(lambda d: 2.0 * d, zeros, zeros, 5), zeros)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6])
def test_iteration_stops_at_the_tolerance(tolerance):
    N, b = positive_definite(40), normal((40,), 4)
    n_products = 0

    def product(d):
        nonlocal n_products
        n_products += 1
        return N @ d

    x = conjugate_gradient(product, b, torch.zeros_like(b), 200, tolerance)
    assert (b - N @ x).norm() <= tolerance * b.norm() * 1.01
    assert n_products < 40


@pytest.mark.parametrize("damping", [0.0, 0.3])
@pytest.mark.parametrize("is_started", [False, True])
def test_least_squares_are_those_of_a_dense_solver(damping, is_started):
    A = SeparableOperator((3, 4, 5), (None, None, normal((7, 5), 5).numpy()))
    r = normal(A.out_shape, 7)
    start = normal(A.in_shape, 8) if is_started else None
    found = least_squares(A, r, damping, Effort(1e-12, 500), start)
    M = dense(A)
    left = M.T @ M + damping * torch.eye(60, dtype=torch.float64)
    expected = torch.linalg.solve(left, M.T @ r.reshape(-1)).reshape(A.in_shape)
    assert found.is_converged
    torch.testing.assert_close(found.d, expected, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(found.misfit, r - A(expected), rtol=1e-8, atol=1e-8)


def test_of_all_that_fit_best_least_squares_give_the_shortest():
    A = SeparableOperator((3, 4, 5), (None, None, normal((2, 5), 5).numpy()))
    r = normal(A.out_shape, 7)
    expected = (torch.linalg.pinv(dense(A)) @ r.reshape(-1)).reshape(A.in_shape)
    found = least_squares(A, r, 0.0, Effort(1e-12, 500))
    torch.testing.assert_close(found.d, expected, rtol=1e-8, atol=1e-9)


def test_too_few_steps_are_told():
    A = SeparableOperator((3, 4, 5), (None, None, normal((7, 5), 5).numpy()))
    found = least_squares(A, normal(A.out_shape, 7), 0.0, Effort(1e-12, 2))
    assert not found.is_converged
    assert found.n_steps == 2
    assert found.gradient > 1e-12


def test_steps_after_the_solution_of_a_singular_system_change_nothing():
    eigenvalues = torch.tensor([0.0, 0.0, 1.0, 1.0, 2.0, 3.0])
    b = eigenvalues * torch.tensor([5.0, -3.0, 0.7, 1.3, -0.2, 0.9])
    x0 = torch.tensor([0.3, -0.1, 1.7, 0.4, 2.2, -1.1])
    x = conjugate_gradient(lambda d: eigenvalues * d, b, x0, 50)
    torch.testing.assert_close(x[:2], x0[:2], rtol=0.0, atol=1e-5)
    torch.testing.assert_close(eigenvalues * x, b)
