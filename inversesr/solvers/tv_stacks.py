"""Total variation for several stacks of one subject, solved by conjugate gradients.

    minimise  sum_k |A_k W_k x - y_k|^2 / sigma_k^2  +  mu sum_voxels sqrt(|G x|^2 + epsilon^2)

Lagged diffusivity: each outer step replaces the total variation by the quadratic form that touches
it at the last image, and solves the linear equations that remain. mu grows or shrinks until the
misfit is the noise (discrepancy principle).
"""

from collections.abc import Callable

import torch

from inversesr.operators.compose import Stacked
from inversesr.operators.conjugate_gradient import conjugate_gradient
from inversesr.protocols import Solution

N_OUTER_STEPS = 8
N_INNER_STEPS = 6
# Gradients below this share of the intensity range count as noise, not as edges.
EDGE_SHARE = 0.01
# First weight: an edge of a tenth of the range against noise of its own size.
FIRST_WEIGHT = 0.1
# The misfit is the noise to within this share.
MISFIT_TOLERANCE = 0.05


def tv_stacks(
    A: Stacked,
    y: torch.Tensor,
    x0: torch.Tensor,
    sigma: float,
    progress: Callable[[int, int], None],
) -> Solution:
    """Fuse several stacks into the image of least total variation that fits them.

    Args:
        A: One operator a stack, each scaled so that its noise has standard deviation sigma.
        y: All stacks, flattened and joined, shape A.out_shape, scaled likewise.
        x0: First guess, shape A.in_shape.
        sigma: Standard deviation of the noise in y, above 0.
        progress: Called with the number of outer steps done and their total.

    Reference: Vogel, Oman (1996), Iterative methods for total variation denoising, SIAM Journal on
    Scientific Computing 17(1):227-238, doi:10.1137/0917016.
    """
    scale = float(x0.max() - x0.min())
    epsilon, mu = EDGE_SHARE * scale, FIRST_WEIGHT / scale
    b = A.adjoint(y)
    x = x0
    misfits: list[float] = []
    for n_done in range(1, N_OUTER_STEPS + 1):
        diffusivity = mu * sigma**2 / (_gradient_norm2(x) + epsilon**2).sqrt()

        def normal(d: torch.Tensor, diffusivity: torch.Tensor = diffusivity) -> torch.Tensor:
            return A.adjoint(A(d)) + _diffuse(d, diffusivity)

        x = conjugate_gradient(normal, b, x, N_INNER_STEPS, tolerance=1e-4)
        misfits.append(float((A(x) - y).square().mean().sqrt()) / sigma)
        progress(n_done, N_OUTER_STEPS)
        if n_done > 2 and abs(misfits[-1] - 1.0) < MISFIT_TOLERANCE:
            return Solution(x, "converged", n_done, {"misfit_over_noise": misfits})
        mu = mu * min(max(1.0 / misfits[-1] ** 2, 0.25), 4.0)
    status = f"stopped after {N_OUTER_STEPS} steps"
    return Solution(x, status, N_OUTER_STEPS, {"misfit_over_noise": misfits})


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
