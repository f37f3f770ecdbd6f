"""Total variation in time: courses that change seldom.

    minimise  |u - y|^2 / 2 + weight sum_t |u(t + 1) - u(t)|        for every voxel by itself

By projected gradients of the dual problem, accelerated.

Reference: Rudin, Osher, Fatemi (1992), doi:10.1016/0167-2789(92)90242-F; Beck, Teboulle (2009),
A fast iterative shrinkage-thresholding algorithm for linear inverse problems, SIAM Journal on
Imaging Sciences 2(1):183-202, doi:10.1137/080716542.
"""

import torch

N_STEPS = 100
# Largest eigenvalue of D D', D the difference of neighbours in time.
LARGEST = 4.0
SIGMA_PER_MAD = 1.4826


def temporal_noise(y: torch.Tensor) -> torch.Tensor:
    """Return the standard deviation of the noise of each voxel, from its changes in time.

    Args:
        y: Series, shape (n_volumes, ...).
    """
    change = torch.diff(y, dim=0)
    # a change holds the noise of two volumes
    typical: torch.Tensor = change.abs().median(dim=0).values * (SIGMA_PER_MAD / 2.0**0.5)
    return typical


def temporal_variation(y: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the series of least variation in time near to a series.

    Args:
        y: Series, shape (n_volumes, ...).
        weight: Of the variation of each voxel, at least 0, shape (...).
    """
    p = torch.zeros_like(y[1:])
    leading, momentum = p, 1.0
    for _ in range(N_STEPS):
        slope = torch.diff(y - _spread(leading), dim=0)
        updated = torch.maximum(torch.minimum(leading + slope / LARGEST, weight), -weight)
        following = (1.0 + (1.0 + 4.0 * momentum**2) ** 0.5) / 2.0
        leading = updated + (momentum - 1.0) / following * (updated - p)
        p, momentum = updated, following
    return y - _spread(p)


def _spread(p: torch.Tensor) -> torch.Tensor:
    """Return D' p, D the difference of neighbours in time."""
    out = torch.zeros(len(p) + 1, *p.shape[1:], dtype=p.dtype, device=p.device)
    out[1:] += p
    out[:-1] -= p
    return out
