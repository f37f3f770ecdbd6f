"""Conjugate gradients, for what has no closed form.

solve N x = b for symmetric positive definite N, given only the product with N
minimise |A d - r|^2 + damping |d|^2, given only A and A'
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from inversesr.operators.inner_product import inner
from inversesr.operators.protocol import LinearOperator

# Residuals of this many rounding units of |b| are zero.
ROUNDING_UNITS = 8.0


def conjugate_gradient(
    normal: Callable[[torch.Tensor], torch.Tensor],
    b: torch.Tensor,
    x0: torch.Tensor,
    n_steps: int,
    tolerance: float = 0.0,
) -> torch.Tensor:
    """Solve normal(x) = b.

    Args:
        normal: Product with a symmetric positive definite operator.
        b: Right-hand side.
        x0: First guess, the shape of b.
        n_steps: Iterations at the most.
        tolerance: Stop once the residual is below this share of |b|.

    Returns:
        The last iterate.

    Reference: Hestenes, Stiefel (1952), Methods of conjugate gradients for solving linear
    systems, Journal of Research of the National Bureau of Standards 49(6):409-436,
    doi:10.6028/jres.049.044.
    """
    x = x0
    residual = b - normal(x)
    direction = residual
    energy = inner(residual, residual)
    # beyond rounding the residual of a singular system lies in its null space, and steps explode
    floor = max(tolerance, ROUNDING_UNITS * torch.finfo(b.dtype).eps) ** 2 * inner(b, b)
    for _ in range(n_steps):
        if energy <= floor:
            break
        product = normal(direction)
        step = energy / inner(direction, product)
        x = x + step * direction
        residual = residual - step * product
        previous, energy = energy, inner(residual, residual)
        direction = residual + (energy / previous) * direction
    return x


@dataclass(frozen=True)
class Effort:
    """How long equations are iterated on.

    Attributes:
        tolerance: Iteration ends once the gradient is this share of the first one; rounding sets
            a limit to it.
        n_steps: Iterations at the most, each one product with A and one with A'.
    """

    tolerance: float = 1e-6
    n_steps: int = 200


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """What `least_squares` found; not converging is a result.

    Attributes:
        d: The last iterate.
        misfit: A d - r, with the sign turned: r - A d.
        n_steps: Iterations done.
        gradient: Size of the last gradient as a share of |A' r|.
        is_converged: Whether that is within the tolerance.
    """

    d: torch.Tensor
    misfit: torch.Tensor
    n_steps: int
    gradient: float
    is_converged: bool


def least_squares(
    operator: LinearOperator,
    r: torch.Tensor,
    damping: float,
    effort: Effort,
    start: torch.Tensor | None = None,
    rounding: float = 0.0,
) -> LeastSquares:
    """Minimise |A d - r|^2 + damping |d|^2.

    Without damping, and begun from nothing, the result is the shortest of all that fit best.

    Args:
        operator: A.
        r: What A d is to be, shape A.out_shape.
        damping: At least 0.
        effort: When to end.
        start: First guess, shape A.in_shape; None for 0.
        rounding: Size of a gradient that is nothing but rounding. Beyond it the gradient of a
            singular system lies where A sees nothing, and steps explode.

    Reference: Hestenes, Stiefel (1952), doi:10.6028/jres.049.044, section 10; Bjoerck (1996),
    Numerical methods for least squares problems, doi:10.1137/1.9781611971484, algorithm 7.4.1.
    """
    towards = operator.adjoint(r)
    largest = inner(towards, towards)
    least = max(effort.tolerance, ROUNDING_UNITS * torch.finfo(r.dtype).eps)
    goal = max(least**2 * largest, rounding**2)
    if start is None:
        d, misfit, gradient = torch.zeros_like(towards), r, towards
    else:
        d, misfit = start, r - operator(start)
        gradient = operator.adjoint(misfit) - damping * d
    energy, direction, n_done = inner(gradient, gradient), gradient, 0
    while energy > goal and n_done < effort.n_steps:
        seen = operator(direction)
        step = energy / (inner(seen, seen) + damping * inner(direction, direction))
        d = torch.add(d, direction, alpha=step)
        misfit = torch.sub(misfit, seen, alpha=step)
        gradient = torch.sub(operator.adjoint(misfit), d, alpha=damping)
        previous, energy = energy, inner(gradient, gradient)
        direction = torch.add(gradient, direction, alpha=energy / previous)
        n_done += 1
    share = (energy / largest) ** 0.5 if largest > 0.0 else 0.0
    return LeastSquares(d, misfit, n_done, share, energy <= goal)
