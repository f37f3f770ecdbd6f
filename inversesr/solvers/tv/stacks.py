"""Total variation for several stacks of one subject, solved by conjugate gradients.

    minimise  sum_i h((A x - y)_i / sigma)  +  mu sum_voxels sqrt(|G x|^2 + epsilon^2)

h is Huber's penalty: squared for small misfits, absolute for the large ones that motion between
slices leaves. Each outer step replaces both terms by the quadratic forms that touch them at the
last image, and solves the linear equations that remain. mu grows until the misfit of the typical
measurement is the noise (discrepancy principle).
"""

from collections.abc import Callable

import torch

from inversesr.operators.conjugate_gradient import conjugate_gradient
from inversesr.operators.protocol import LinearOperator
from inversesr.protocols import Solution

N_OUTER_STEPS = 6
N_INNER_STEPS = 6
# Gradients below this share of the intensity range count as noise, not as edges.
EDGE_SHARE = 0.01
# The mean gradient of a brain is about a twentieth of the range: its Laplacian's weight.
FIRST_WEIGHT = 20.0
LARGEST_GROWTH = 4.0
# The misfit is the noise to within this share.
MISFIT_TOLERANCE = 0.05
# Misfits beyond this many standard deviations count by their size, not by its square.
HUBER_BEND = 1.345
SIGMA_PER_MAD = 1.4826


def tv_stacks(
    A: LinearOperator,
    y: torch.Tensor,
    x0: torch.Tensor,
    sigma: float,
    progress: Callable[[int, int], None],
    n_outer_steps: int | None = None,
) -> Solution:
    """Fuse several stacks into the image of least total variation that fits them.

    Args:
        A: One operator a stack, each scaled so that its noise has standard deviation sigma; see
            `operators.compose.Stacked`.
        y: All stacks, flattened and joined, shape A.out_shape, scaled likewise.
        x0: First guess, shape A.in_shape.
        sigma: Standard deviation of the noise in y, above 0.
        progress: Called with the number of outer steps done and their total.
        n_outer_steps: Outer steps at the most; None for the usual number.

    Reference: Vogel, Oman (1996), Iterative methods for total variation denoising, SIAM Journal on
    Scientific Computing 17(1):227-238, doi:10.1137/0917016; Huber (1964), Robust estimation of a
    location parameter, Annals of Mathematical Statistics 35(1):73-101,
    doi:10.1214/aoms/1177703732.
    """
    scale = float(x0.max() - x0.min())
    epsilon, mu = EDGE_SHARE * scale, FIRST_WEIGHT / scale
    x = x0
    misfits: list[float] = []
    n_outer = n_outer_steps or N_OUTER_STEPS
    for n_done in range(1, n_outer + 1):
        trust = (HUBER_BEND * sigma / (A(x) - y).abs().clamp_min(1e-12)).clamp_max(1.0)
        diffusivity = mu * sigma**2 / (_gradient_norm2(x) + epsilon**2).sqrt()

        def normal(
            d: torch.Tensor, trust: torch.Tensor = trust, diffusivity: torch.Tensor = diffusivity
        ) -> torch.Tensor:
            return A.adjoint(trust * A(d)) + _diffuse(d, diffusivity)

        x = conjugate_gradient(normal, A.adjoint(trust * y), x, N_INNER_STEPS, tolerance=1e-4)
        misfits.append(_typical(A(x) - y) / sigma)
        progress(n_done, n_outer)
        if n_done > 2 and misfits[-1] > 1.0 - MISFIT_TOLERANCE:
            return Solution(x, "converged", n_done, {"misfit_over_noise": misfits})
        mu = mu * min(max(1.0 / misfits[-1] ** 2, 1.0), LARGEST_GROWTH)
    status = f"stopped after {n_outer} steps"
    return Solution(x, status, n_outer, {"misfit_over_noise": misfits})


def _typical(residual: torch.Tensor) -> float:
    """Standard deviation of a residual by its median, leaving out what was weighted with zero."""
    counted = residual[residual != 0.0]
    return SIGMA_PER_MAD * float(counted.abs().median()) if counted.numel() else 0.0


def _gradient_norm2(x: torch.Tensor) -> torch.Tensor:
    norm2 = torch.zeros_like(x)
    for axis in range(3):
        n = x.shape[axis] - 1
        norm2.narrow(axis, 0, n).add_(torch.diff(x, dim=axis).square_())
    return norm2


def _diffuse(x: torch.Tensor, diffusivity: torch.Tensor) -> torch.Tensor:
    """Return G' (diffusivity G x)."""
    out = torch.zeros_like(x)
    for axis in range(3):
        n = x.shape[axis] - 1
        flow = torch.diff(x, dim=axis).mul_(diffusivity.narrow(axis, 0, n))
        out.narrow(axis, 0, n).sub_(flow)
        out.narrow(axis, 1, n).add_(flow)
    return out
