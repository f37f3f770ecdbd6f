"""Directional total variation of first and second order, constrained to agree with the scan.

    minimise  |E H x E|_1 + beta |D G x|_1      subject to  |A x - y| <= sigma sqrt(n)

G is the gradient and H the Hessian in fine voxels. The second order lets intensities change
smoothly through a slice, where the first order alone would leave steps. D = 1 - m m', and E with
a little less of m, spare the change across an edge, so that edges are continued along themselves
from slice to slice: m are the normals of the image's own edges (`edges`), found twice on the way.
The constraint is the discrepancy principle itself: no weight is set by hand.

Primal-dual iteration (`variation`); the constraint is a projection in closed form
(`nearest_within`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from inversesr.measurements.protocol import Measurement
from inversesr.measurements.slices import Task
from inversesr.operators.inner_product import n_numbers
from inversesr.operators.protocol import LinearOperator
from inversesr.operators.proximal import nearest_within
from inversesr.operators.separable import SeparableOperator
from inversesr.protocols import Solution
from inversesr.solvers.entry import SolverEntry
from inversesr.solvers.setup import Setup
from inversesr.solvers.tracing import show
from inversesr.solvers.tv.edges import edge_field
from inversesr.solvers.tv.variation import (
    FirstOrder,
    SecondOrder,
    Term,
    Weights,
    ascend,
    zero_duals,
)

# Tuned on training brains only; see docs/decisions/002-tv.md.
FIRST_ORDER_SHARE = 1.75
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
REACH, REACH_SHARE = 1.8, 0.35
# Share of the normals that the second order believes.
SURENESS = 0.87
TOLERANCE = 1e-4
# An image of least variation is as far from the scan as it may be, which smooths too much where
# that is all of the noise and the result is not made exactly consistent with the scan; see
# docs/decisions, 008. Slices nearly as thin as the result show more, and less suits them (027).
SHARE_OF_NOISE, SHARE_OF_THIN = 0.8, 0.5


def tv(
    A: LinearOperator,
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
    doi:10.1137/15M1047325, here guided by the image itself; Kongskov, Dong, Knudsen (2017),
    Directional total generalized variation regularization, arXiv:1701.02675.
    """
    first, second = _axis_weights(slice_axis)
    radius = sigma * n_numbers(y) ** 0.5
    x = nearest_within(A, x0, y, radius).x
    # slices are an image themselves, other data are not
    shown = y if isinstance(A, SeparableOperator) else x
    scale = float(shown.max() - shown.min()) or 1.0
    norm2 = FirstOrder(first, FIRST_ORDER_SHARE).norm2 + SecondOrder(second).norm2
    primal_step = STEP_SHARE * scale / norm2**0.5
    dual_step = 1.0 / (norm2 * primal_step)
    # across the slices an edge is seen but once a slice
    reach = [max(REACH, REACH_SHARE * n / m) for n, m in zip(x0.shape, shown.shape, strict=True)]

    leading = x
    terms: tuple[Term, ...] = (FirstOrder(first, FIRST_ORDER_SHARE), SecondOrder(second))
    duals = zero_duals(terms, x)
    changes: list[float] = []
    for n_done in range(1, N_STEPS + 1):
        slope = ascend(terms, duals, leading, dual_step)
        updated = nearest_within(A, torch.add(x, slope, alpha=-primal_step), y, radius).x
        change = updated - x
        leading = updated + change
        changes.append(float(change.square_().mean().sqrt()) / scale)
        x = updated
        show(updated.detach)
        progress(n_done, N_STEPS)
        if n_done in EDGES_AFTER:
            normals = tuple(edge_field(x, reach))
            terms = (
                FirstOrder(first, FIRST_ORDER_SHARE, normals),
                SecondOrder(second, 1.0, normals, SURENESS),
            )
        if changes[-1] < TOLERANCE and n_done > EDGES_AFTER[-1]:
            return Solution(x, "converged", n_done, {"relative_change": changes})
    return Solution(x, f"stopped after {N_STEPS} steps", N_STEPS, {"relative_change": changes})


def _axis_weights(slice_axis: int) -> tuple[Weights, Weights]:
    is_slice = [int(axis == slice_axis) for axis in range(3)]
    first = tuple(FIRST_ORDER_WEIGHTS[i] for i in is_slice)
    second = tuple(SECOND_ORDER_WEIGHTS[i] for i in is_slice)
    return first, second


@dataclass(frozen=True)
class TV:
    """Options of `tv`: none."""


def restore(task: Measurement, setup: Setup) -> Solution:
    """Restore what was measured; see `tv`."""
    share = SHARE_OF_NOISE
    if isinstance(task, Task) and task.is_nearly_isotropic:
        share = SHARE_OF_THIN
    sigma = task.sigma * (1.0 if setup.consistency == "exact" else share)
    return tv(
        task.A, task.y, task.x0, sigma, task.slice_axis, lambda n, of: setup.progress("tv", n, of)
    )


SOLVER = SolverEntry(
    "Directional total variation of first and second order, within the scan's noise.",
    TV,
    restore,
    fuses_scans=True,
    is_even=False,
    bytes_per_voxel=150.0,
    without_prior="tv prefers images with few and simple edges and knows no anatomy",
)
