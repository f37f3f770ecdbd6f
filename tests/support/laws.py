"""The laws that every linear operator obeys, in one battery."""

import torch

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12}


def normal(shape, seed, dtype=torch.float64):
    """Draw a standard normal tensor."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def check_operator(operator, dtype=torch.float64, seed=0):
    """Assert that an operator is linear, has its shapes, and that its adjoint is its transpose.

    Args:
        operator: What is judged.
        dtype: torch.float32 (laws hold to 1e-5 relative) or torch.float64 (to 1e-12).
        seed: Seed of the arguments.
    """
    tolerance = TOLERANCES[dtype]
    x, other = normal(operator.in_shape, seed, dtype), normal(operator.in_shape, seed + 1, dtype)
    y = normal(operator.out_shape, seed + 2, dtype)
    Ax, Aty = operator(x), operator.adjoint(y)

    assert tuple(Ax.shape) == tuple(operator.out_shape)
    assert tuple(Aty.shape) == tuple(operator.in_shape)
    assert Ax.dtype == dtype
    assert Aty.dtype == dtype
    assert float(Ax.abs().max()) > 0.0, "a law about nothing but zeros proves nothing"
    assert torch.equal(operator(x), Ax), "the same argument gives the same result"

    assert _difference(operator(2.0 * x - 3.0 * other), 2.0 * Ax - 3.0 * operator(other)) < (
        10.0 * tolerance
    )
    left, right = _inner(Ax, y), _inner(x, Aty)
    assert abs(left - right) < tolerance * float(Ax.double().norm() * y.double().norm())

    argument = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(operator(argument), argument, y)
    assert _difference(gradient, Aty) < 10.0 * tolerance


def dense(operator):
    """Return the matrix of an operator, shape (n_out, n_in), column by column."""
    n = int(torch.tensor(operator.in_shape).prod())
    unit = torch.eye(n, dtype=torch.float64)
    columns = [operator(column.reshape(operator.in_shape)).reshape(-1) for column in unit]
    return torch.stack(columns, dim=1)


def _inner(a, b):
    return float((a.double() * b.double()).sum())


def _difference(a, b):
    return float((a - b).abs().max() / b.abs().max())
