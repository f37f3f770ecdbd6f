"""Directional total variation of first and second order, constrained to agree with the scan.

    minimise  |H x|_1 + beta |D G x|_1      subject to  |A x - y| <= sigma sqrt(n)

G is the gradient and H the Hessian in fine voxels. The second order lets intensities change
smoothly through a slice, where the first order alone would leave steps. D = 1 - m m' spares the
change across an edge, so that edges are continued along themselves from slice to slice: m are the
normals of the image's own edges (`edges`), found twice on the way. The constraint is the
discrepancy principle itself: no weight is set by hand.

Primal-dual iteration; the constraint is a projection in closed form (`nearest_within`).
"""

from collections.abc import Callable

import torch

from inversesr.operators.separable import SeparableOperator
from inversesr.protocols import Solution
from inversesr.solvers.edges import edge_field
from inversesr.solvers.tracing import show

# Tuned on training brains only; see docs/decisions/002-tv.md.
FIRST_ORDER_SHARE = 2.5
# Weights of the differences along the in-plane axes and across the slices.
FIRST_ORDER_WEIGHTS = (1.0, 1.0)
SECOND_ORDER_WEIGHTS = (0.7, 1.0)
# Primal step as a share of the intensity range.
STEP_SHARE = 0.05
N_STEPS = 80
# Steps after which the edges are found in the image so far.
EDGES_AFTER = (25, 50)
# Standard deviation over which the directions of edges are averaged: in voxels, and at least this
# share of the distance between slices.
REACH, REACH_SHARE = 1.5, 0.625
TOLERANCE = 1e-4

ROOT_2 = 2.0**0.5
Weights = tuple[float, ...]


def tv(
    A: SeparableOperator,
    y: torch.Tensor,
    x0: torch.Tensor,
    sigma: float,
    slice_axis: int,
    progress: Callable[[int, int], None],
) -> Solution:
    """Find the image of least total variation that agrees with the scan.

    Args:
        A: Forward operator.
        y: Scan, shape A.out_shape.
        x0: First guess, shape A.in_shape.
        sigma: Standard deviation of the scan's noise in its own intensities; 0 for none.
        slice_axis: Axis across the slices.
        progress: Called with the number of steps done and their total.

    Reference: Papafitsoros, Schoenlieb (2014), A combined first and second order variational
    approach for image reconstruction, Journal of Mathematical Imaging and Vision 48:308-338,
    doi:10.1007/s10851-013-0445-4; Chambolle, Pock (2011), A first-order primal-dual algorithm for
    convex problems, Journal of Mathematical Imaging and Vision 40:120-145,
    doi:10.1007/s10851-010-0251-1; Ehrhardt, Betcke (2016), Multicontrast MRI reconstruction with
    structure-guided total variation, SIAM Journal on Imaging Sciences 9:1084-1106,
    doi:10.1137/15M1047325, here guided by the image itself.
    """
    first, second = _axis_weights(slice_axis)
    scale = float(y.max() - y.min())
    norm2 = 4.0 * sum(w**2 for w in first) + 16.0 * sum(w**2 for w in second) ** 2
    primal_step = STEP_SHARE * scale / norm2**0.5
    dual_step = 1.0 / (norm2 * primal_step)
    radius = sigma * y.numel() ** 0.5
    # across the slices an edge is seen but once a slice
    reach = [max(REACH, REACH_SHARE * n / m) for n, m in zip(x0.shape, y.shape, strict=True)]

    x = A.nearest_within(x0, y, radius)
    leading = x
    p = [torch.zeros_like(x) for _ in range(3)]
    q = [torch.zeros_like(x) for _ in range(6)]
    normals: list[torch.Tensor] = []
    changes: list[float] = []
    for n_done in range(1, N_STEPS + 1):
        slope = _dual_steps(p, q, leading, (first, second), dual_step, normals)
        updated = A.nearest_within(x - primal_step * slope, y, radius)
        leading = 2.0 * updated - x
        changes.append(float((updated - x).square().mean().sqrt()) / scale)
        x = updated
        show(updated.detach)
        progress(n_done, N_STEPS)
        if n_done in EDGES_AFTER:
            normals = edge_field(x, reach)
        if changes[-1] < TOLERANCE and n_done > EDGES_AFTER[-1]:
            return Solution(x, "converged", n_done, {"relative_change": changes})
    return Solution(x, f"stopped after {N_STEPS} steps", N_STEPS, {"relative_change": changes})


def _axis_weights(slice_axis: int) -> tuple[Weights, Weights]:
    first = [FIRST_ORDER_WEIGHTS[int(axis == slice_axis)] for axis in range(3)]
    second = [SECOND_ORDER_WEIGHTS[int(axis == slice_axis)] for axis in range(3)]
    return tuple(first), tuple(second)


def _dual_steps(
    p: list[torch.Tensor],
    q: list[torch.Tensor],
    x: torch.Tensor,
    weights: tuple[Weights, Weights],
    step: float,
    normals: list[torch.Tensor],
) -> torch.Tensor:
    """Ascend in both dual variables, in place, and return G'D'p + H'q."""
    first, second = weights
    gradient = [first[axis] * _difference(x, axis) for axis in range(3)]
    for axis, component in enumerate(_along_edges(gradient, normals)):
        p[axis].add_(component, alpha=step)
    _shrink_to_ball(p, FIRST_ORDER_SHARE)
    slope = torch.zeros_like(x)
    for axis, component in enumerate(_along_edges(p, normals)):
        slope += first[axis] * _difference_adjoint(component, axis)
    index = 0
    for a in range(3):
        slope_a = _difference(x, a)
        for b in range(a, 3):
            q[index] += (step * second[a] * second[b]) * _second(slope_a, a, b)
            index += 1
    _shrink_to_ball(q, 1.0)
    index = 0
    for a in range(3):
        for b in range(a, 3):
            slope += (second[a] * second[b]) * _second_adjoint(q[index], a, b)
            index += 1
    return slope


def _along_edges(field: list[torch.Tensor], normals: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return (1 - m m') v for vectors v and normals m; v itself while there are no normals."""
    if not normals:
        return field
    across = field[0] * normals[0]
    for v, m in zip(field[1:], normals[1:], strict=True):
        across.addcmul_(v, m)
    return [v - m * across for v, m in zip(field, normals, strict=True)]


def _shrink_to_ball(components: list[torch.Tensor], radius: float) -> None:
    """Project each voxel's vector onto the ball of a radius, in place."""
    norm = components[0].square()
    for component in components[1:]:
        norm.addcmul_(component, component)
    scale = norm.sqrt_().div_(radius).clamp_(min=1.0).reciprocal_()
    for component in components:
        component.mul_(scale)


def _difference(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Forward difference along an axis, zero at its end."""
    out = torch.zeros_like(x)
    n = x.shape[axis] - 1
    torch.sub(x.narrow(axis, 1, n), x.narrow(axis, 0, n), out=out.narrow(axis, 0, n))
    return out


def _difference_adjoint(p: torch.Tensor, axis: int) -> torch.Tensor:
    """Transpose of `_difference`."""
    out = torch.zeros_like(p)
    n = p.shape[axis] - 1
    out.narrow(axis, 0, n).sub_(p.narrow(axis, 0, n))
    out.narrow(axis, 1, n).add_(p.narrow(axis, 0, n))
    return out


def _second(gradient: torch.Tensor, a: int, b: int) -> torch.Tensor:
    """Second difference along axes a and b from the first one along a."""
    if a == b:
        return _difference_adjoint(gradient, a)
    return ROOT_2 * _difference(gradient, b)


def _second_adjoint(q: torch.Tensor, a: int, b: int) -> torch.Tensor:
    """Transpose of second differences along axes a and b."""
    if a == b:
        return _difference_adjoint(_difference(q, a), a)
    return ROOT_2 * _difference_adjoint(_difference_adjoint(q, b), a)
