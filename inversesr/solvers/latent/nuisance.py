"""What a scan has and a prior has not: gain, offset, a smooth bias field, another slice width.

y = A_w [ m (c_0 + c_1 phi_1 + c_2 phi_2 + ...) W D(z) + m offset + (1 - m) s ]

c and offset are the ridge least squares of y; phi are the lowest cosines of the fine grid.
"""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from inversesr.solvers.latent.problem import GAIN_SD, OFFSET_SD, Problem

# Bias fields are slower than the head: half waves along each axis at the most.
LARGEST_ORDER = 2
BIAS_SD = 0.1
# Slice widths tried around the present one, and how far they may go.
WIDTH_STEPS = (0.9, 0.95, 1.0, 1.05, 1.1)
NARROWEST, WIDEST = 0.6, 1.6


@dataclass(frozen=True, eq=False)
class Nuisance:
    """How the prior's intensities become the scan's.

    Attributes:
        gain: Factor, or bias field on the fine grid.
        offset: Added to them.
        coefficients: c, the first of which is the mean gain.
    """

    gain: float | Tensor = 1.0
    offset: float = 0.0
    coefficients: tuple[float, ...] = (1.0,)

    @property
    def facts(self) -> dict[str, Any]:
        """Figures for the report."""
        found: dict[str, Any] = {
            "gain": self.coefficients[0],
            "offset": self.offset,
        }
        if len(self.coefficients) > 1:
            found["bias_coefficients"] = list(self.coefficients[1:])
        return found


def fit_nuisance(problem: Problem, decoded: Tensor, *, bias: bool = False) -> Nuisance:
    """Fit gain and offset, and a bias field if asked, to the scan.

    Args:
        problem: The problem.
        decoded: D(z), shape W.in_shape.
        bias: Whether the gain may vary smoothly over the head.
    """
    seen = problem.m * problem.W(decoded)
    waves = _smooth_waves(problem) if bias else []
    columns = [problem.A(seen), *(problem.A(seen * wave) for wave in waves)]
    columns.append(problem.A(problem.m))
    target = problem.y - problem.A((1.0 - problem.m) * problem.s)
    centre = np.zeros(len(columns))
    centre[0] = 1.0
    spread = np.array([GAIN_SD, *[BIAS_SD] * len(waves), OFFSET_SD])
    c = centre + _ridge(columns, target - columns[0], problem.data_sigma / spread)
    gain: float | Tensor = float(c[0])
    for coefficient, wave in zip(c[1:-1].tolist(), waves, strict=True):
        gain = gain + coefficient * wave
    return Nuisance(gain, float(c[-1]), tuple(c[:-1].tolist()))


def fit_slice_width(
    problem: Problem, decoded: Tensor, width: float
) -> tuple[Problem, Nuisance, float]:
    """Find the slice width, together with bias field, gain and offset, that explains a scan best.

    A bias field along the slice axis looks much like another width: they are fitted together.

    Args:
        problem: The problem; without `blurred` its width stays.
        decoded: D(z), shape W.in_shape.
        width: Factor of the slice thickness found before.

    Returns:
        The problem with the better A, the nuisance, and the factor.
    """
    if problem.blurred is None:
        return problem, fit_nuisance(problem, decoded, bias=True), width
    found = []
    for step in WIDTH_STEPS:
        factor = min(max(width * step, NARROWEST), WIDEST)
        tried = replace(problem, A=problem.blurred(factor))
        nuisance = fit_nuisance(tried, decoded, bias=True)
        x = problem.compose(decoded, nuisance.gain, nuisance.offset)
        found.append((tried.misfit(x), tried, nuisance, factor))
    _, tried, nuisance, factor = min(found, key=lambda candidate: candidate[0])
    return tried, nuisance, factor


def _ridge(
    columns: list[Tensor], target: Tensor, penalty: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Minimise |sum_k c_k column_k - target|^2 + |penalty c|^2."""
    n = len(columns)
    gram, right = np.diag(penalty**2), np.zeros(n)
    for i in range(n):
        right[i] = float((columns[i] * target).sum(dtype=torch.float64))
        for j in range(n):
            gram[i, j] += float((columns[i] * columns[j]).sum(dtype=torch.float64))
    return np.asarray(np.linalg.solve(gram, right))


def _smooth_waves(problem: Problem) -> list[Tensor]:
    """Return products of cosines over the fine grid, the constant left out."""
    axes = []
    for n in problem.m.shape:
        u = (torch.arange(n, dtype=problem.m.dtype, device=problem.m.device) + 0.5) / n
        axes.append([torch.cos(torch.pi * k * u) for k in range(LARGEST_ORDER + 1)])
    orders = [
        o for o in product(range(LARGEST_ORDER + 1), repeat=3) if 0 < sum(o) <= LARGEST_ORDER
    ]
    return [axes[0][i][:, None, None] * axes[1][j][:, None] * axes[2][k] for i, j, k in orders]
