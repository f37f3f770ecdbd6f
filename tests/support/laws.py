"""The laws that every linear operator obeys, in one battery.

Laws are checked in the inner product of pairs of real numbers, on images that are real or complex;
the data are what the operator makes of them. Answers come from the operator's dense matrix.
"""

import pytest
import torch

from inversesr.operators import proximal
from inversesr.operators.conjugate_gradient import Effort
from inversesr.operators.inner_product import parts

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12}
COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}
# Iterated answers are compared with exact ones.
THOROUGH = Effort(tolerance=1e-12, n_steps=2000)


def normal(shape, seed, dtype=torch.float64):
    """Draw a standard normal tensor; of a complex one each part is standard normal."""
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return noise * 2.0**0.5 if noise.is_complex() else noise


class Plain:
    """An operator of which nothing is known but its products."""

    def __init__(self, operator):
        self.operator = operator
        self.in_shape, self.out_shape = operator.in_shape, operator.out_shape

    def __call__(self, x):
        return self.operator(x)

    def adjoint(self, y):
        return self.operator.adjoint(y)


def kind_of_image(dtype, *, is_complex):
    """Return the type of images of a precision."""
    return COMPLEX[dtype] if is_complex else dtype


def check_operator(operator, dtype=torch.float64, seed=0, *, is_complex=False):
    """Assert that an operator is linear, has its shapes, and that its adjoint is its adjoint.

    Args:
        operator: What is judged.
        dtype: torch.float32 (laws hold to 1e-5 relative) or torch.float64 (to 1e-12).
        seed: Seed of the arguments.
        is_complex: Whether its images are complex.
    """
    tolerance, kind = TOLERANCES[dtype], kind_of_image(dtype, is_complex=is_complex)
    x, other = normal(operator.in_shape, seed, kind), normal(operator.in_shape, seed + 1, kind)
    Ax = operator(x)
    y = normal(operator.out_shape, seed + 2, Ax.dtype)
    Aty = operator.adjoint(y)

    assert tuple(Ax.shape) == tuple(operator.out_shape)
    assert tuple(Aty.shape) == tuple(operator.in_shape)
    assert Ax.dtype in (dtype, COMPLEX[dtype])
    assert Aty.dtype == kind
    assert float(Ax.abs().max()) > 0.0, "a law about nothing but zeros proves nothing"
    assert torch.equal(operator(x), Ax), "the same argument gives the same result"

    assert _difference(operator(2.0 * x - 3.0 * other), 2.0 * Ax - 3.0 * operator(other)) < (
        10.0 * tolerance
    )
    left, right = _inner(Ax, y), _inner(x, Aty)
    assert abs(left - right) < tolerance * _norm(Ax) * _norm(y)

    argument = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(operator(argument), argument, y)
    assert _difference(gradient, Aty) < 10.0 * tolerance


def check_prox(operator, *, is_complex=False):
    """Assert that the prox is what a dense solver finds."""
    x0, y = problem(operator, is_complex=is_complex)
    M, a, b = matrix(operator, is_complex=is_complex), flat(x0), flat(y)
    r2, sigma2 = 0.7, 0.05
    left = torch.eye(len(a), dtype=torch.float64) / r2 + M.T @ M / sigma2
    expected = torch.linalg.solve(left, a / r2 + M.T @ b / sigma2)
    found = proximal.prox(operator, x0, y, r2, sigma2, THOROUGH)
    assert found.is_converged
    assert _difference(flat(found.x), expected) < 1e-8


def check_projection(operator, *, is_complex=False):
    """Assert that the projection is that of the pseudo-inverse, and that it changes nothing twice.

    Where the data can be reproduced, they are.
    """
    x0, y = problem(operator, is_complex=is_complex)
    M, a, b = matrix(operator, is_complex=is_complex), flat(x0), flat(y)
    expected = a + torch.linalg.pinv(M, rtol=1e-8) @ (b - M @ a)
    found = proximal.project(operator, x0, y, THOROUGH)
    assert found.is_converged
    assert _difference(flat(found.x), expected) < 1e-7
    again = proximal.project(operator, found.x, y, THOROUGH)
    assert _difference(flat(again.x), expected) < 1e-7
    reachable = operator(x0 + 1.0)
    met = proximal.project(operator, x0, reachable, THOROUGH).x
    assert _difference(flat(operator(met)), flat(reachable)) < 1e-8


def check_nearest_within(operator, share=0.3, *, is_complex=False):
    """Assert that the radius is met, and that the step to it points down the misfit.

    Among all images on the sphere the nearest is the one whose step from x is a multiple of A' of
    the residual that is left.
    """
    x0, y = problem(operator, is_complex=is_complex)
    best = proximal.project(operator, x0, y, THOROUGH).x
    least, first = _norm(operator(best) - y), _norm(operator(x0) - y)
    radius = least + share * (first - least)
    found = proximal.nearest_within(operator, x0, y, radius, THOROUGH)
    assert found.is_converged
    left = y - operator(found.x)
    assert _norm(left) == pytest.approx(radius, rel=2e-5)
    step, downhill = found.x - x0, operator.adjoint(left)
    alpha = _norm(step) / _norm(downhill)
    assert _difference(step, alpha * downhill) < 1e-5
    assert proximal.nearest_within(operator, x0, y, 1.01 * first, THOROUGH).x is x0
    if least > 1e-6 * first:
        beyond = proximal.nearest_within(operator, x0, y, 0.5 * least, THOROUGH)
        assert not beyond.is_converged
        assert _difference(beyond.x, best) < 1e-6


def check_posterior(operator, monkeypatch, *, is_complex=False):
    """Assert that samples have the mean and the covariance of the posterior, exactly.

    A sample is an affine function of the noise that is drawn: with each unit of noise in turn, it
    tells the whole covariance.
    """
    x0, y = problem(operator, is_complex=is_complex)
    M, a, b = matrix(operator, is_complex=is_complex), flat(x0), flat(y)
    r2, sigma2 = 0.5, 0.2
    left = torch.eye(len(a), dtype=torch.float64) / r2 + M.T @ M / sigma2
    covariance = torch.linalg.inv(left)
    mean = covariance @ (a / r2 + M.T @ b / sigma2)

    def sample(unit):
        drawn = iter((unflat(unit[: len(a)], x0), unflat(unit[len(a) :], y)))
        monkeypatch.setattr(proximal, "white_noise", lambda _like, _generator: next(drawn))
        found = proximal.sample_posterior(operator, x0, y, (r2, sigma2), None, THOROUGH)
        assert found.is_converged
        return flat(found.x)

    nothing = torch.zeros(len(a) + len(b), dtype=torch.float64)
    assert _difference(sample(nothing), mean) < 1e-8
    units = torch.eye(len(nothing), dtype=torch.float64)
    spread = torch.stack([sample(unit) - mean for unit in units], dim=1)
    assert _difference(spread @ spread.T, covariance) < 1e-7


def problem(operator, dtype=torch.float64, *, is_complex=False):
    """An image and data of another one with a little noise."""
    kind = kind_of_image(dtype, is_complex=is_complex)
    x0, truth = normal(operator.in_shape, 10, kind), normal(operator.in_shape, 11, kind)
    exact = operator(truth)
    return x0, exact + 0.1 * normal(operator.out_shape, 12, exact.dtype)


def matrix(operator, *, is_complex=False):
    """Return the matrix of an operator on real numbers, column by column."""
    like = torch.zeros(
        operator.in_shape, dtype=kind_of_image(torch.float64, is_complex=is_complex)
    )
    unit = torch.eye(len(flat(like)), dtype=torch.float64)
    return torch.stack([flat(operator(unflat(column, like))) for column in unit], dim=1)


def dense(operator):
    """Return the matrix of an operator on real images, shape (n_out, n_in)."""
    return matrix(operator)


def flat(a):
    """Return the real numbers of a tensor as one vector."""
    return parts(a).reshape(-1)


def unflat(numbers, like):
    """Return a tensor of the kind of another one from its real numbers."""
    shaped = numbers.reshape(parts(like).shape)
    return torch.view_as_complex(shaped.contiguous()) if like.is_complex() else shaped


def _inner(a, b):
    return float((flat(a).double() * flat(b).double()).sum())


def _norm(a):
    return _inner(a, a) ** 0.5


def _difference(a, b):
    return float((a - b).abs().max() / b.abs().max())
