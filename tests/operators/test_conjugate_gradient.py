import pytest
import torch

from inversesr.operators.conjugate_gradient import conjugate_gradient, prox
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


def test_the_prox_is_that_of_a_dense_solver():
    matrix = normal((2, 5), 5).numpy()
    A = SeparableOperator((3, 4, 5), (None, None, matrix))
    x0, y = normal(A.in_shape, 6), normal(A.out_shape, 7)
    r2, sigma2 = 0.7, 0.2
    M = dense(A)
    left = torch.eye(60, dtype=torch.float64) / r2 + M.T @ M / sigma2
    right = x0.reshape(-1) / r2 + M.T @ y.reshape(-1) / sigma2
    expected = torch.linalg.solve(left, right).reshape(A.in_shape)
    torch.testing.assert_close(prox(A, x0, y, (r2, sigma2)), expected, rtol=1e-5, atol=1e-6)


def test_steps_after_the_solution_of_a_singular_system_change_nothing():
    eigenvalues = torch.tensor([0.0, 0.0, 1.0, 1.0, 2.0, 3.0])
    b = eigenvalues * torch.tensor([5.0, -3.0, 0.7, 1.3, -0.2, 0.9])
    x0 = torch.tensor([0.3, -0.1, 1.7, 0.4, 2.2, -1.1])
    x = conjugate_gradient(lambda d: eigenvalues * d, b, x0, 50)
    torch.testing.assert_close(x[:2], x0[:2], rtol=0.0, atol=1e-5)
    torch.testing.assert_close(eigenvalues * x, b)
