"""Conjugate gradients, for what has no closed form.

solve N x = b for symmetric positive definite N, given only the product with N
"""

from collections.abc import Callable

import torch

from inversesr.protocols import Operator

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
    energy = _inner(residual, residual)
    # beyond rounding the residual of a singular system lies in its null space, and steps explode
    floor = max(tolerance, ROUNDING_UNITS * torch.finfo(b.dtype).eps) ** 2 * _inner(b, b)
    for _ in range(n_steps):
        if energy <= floor:
            break
        product = normal(direction)
        step = energy / _inner(direction, product)
        x = x + step * direction
        residual = residual - step * product
        previous, energy = energy, _inner(residual, residual)
        direction = residual + (energy / previous) * direction
    return x


def prox(
    operator: Operator,
    x0: torch.Tensor,
    y: torch.Tensor,
    variances: tuple[float, float],
    n_steps: int = 50,
) -> torch.Tensor:
    """Return argmin |x - x0|^2 / r2 + |A x - y|^2 / sigma2 for any operator.

    Args:
        operator: A.
        x0: Image to stay close to, shape A.in_shape.
        y: Measurement, shape A.out_shape.
        variances: (r2, sigma2), both above 0.
        n_steps: Conjugate gradient steps at the most.
    """
    ratio = variances[0] / variances[1]

    def normal(d: torch.Tensor) -> torch.Tensor:
        return d + ratio * operator.adjoint(operator(d))

    b = ratio * operator.adjoint(y - operator(x0))
    return x0 + conjugate_gradient(normal, b, torch.zeros_like(x0), n_steps, tolerance=1e-7)


def _inner(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a * b).sum(dtype=torch.float64))
