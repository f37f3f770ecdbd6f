"""Where data is to be trusted over the prior: tissue that the prior cannot explain, or a mask.

    u = smooth( A' [ (y - A x)^2 / (sigma^2 + r_AE^2) ] / A' 1 )^(1/2)        the surprise
    m <- m (1 - rise(u)) (1 - protect)

x is the prior's best fit. Where its misfit is many times what noise and autoencoder explain, the
scan holds something that the prior does not know, such as a lesion: there the data speaks.
"""

from dataclasses import replace

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from inversesr.protocols import Solution
from inversesr.solvers.latent.problem import Problem, finish
from inversesr.solvers.protection import protected_facts

SMOOTHING_MM = 3.0
# Below the first the prior keeps its weight, above the second it has none.
MILD, SEVERE = 3.0, 6.0


def surprise_map(
    problem: Problem, x: Tensor, rmse: float, spacing_mm: tuple[float, float, float]
) -> Tensor:
    """Return how far the prior's best fit misses the scan, in standard deviations.

    Args:
        problem: The problem.
        x: The prior's best fit on the fine grid, before data consistency, in the intensities of
            the prior.
        rmse: Error that the autoencoder makes anyway.
        spacing_mm: Voxel size of the fine grid.

    Returns:
        Root mean square of the whitened misfit about each voxel, shape A.in_shape; about 1 where
        the prior explains the scan.
    """
    variance = problem.data_sigma**2 + rmse**2
    squares = (problem.y - problem.A(x)).square() / variance
    weight = problem.A.adjoint(torch.ones_like(problem.y))
    spread = problem.A.adjoint(squares)
    sigmas = [SMOOTHING_MM / s for s in spacing_mm]
    # gaps between slices borrow from the slices beside them
    numerator, denominator = (
        gaussian_filter(image.cpu().numpy(), sigmas) for image in (spread, weight)
    )
    mean = torch.from_numpy(numerator / denominator.clip(1e-6)).to(x)
    return mean.clamp_min(0.0).sqrt()


def protect(problem: Problem, surprise: Tensor | None, mask: Tensor | None) -> Problem:
    """Return the problem with less of the prior where it is surprised or where a mask says so.

    Args:
        problem: The problem.
        surprise: See `surprise_map`; None for no such map.
        mask: Region to be protected on the fine grid, 0 to 1; None for none.
    """
    m = problem.m
    if surprise is not None:
        u = ((surprise - MILD) / (SEVERE - MILD)).clamp(0.0, 1.0)
        m = m * (1.0 - u * u * (3.0 - 2.0 * u))
    if mask is not None:
        m = m * (1.0 - mask.clamp(0.0, 1.0))
    return replace(problem, m=m)


def keep_surprises(
    problem: Problem,
    solution: Solution,
    rmse: float | None,
    mask: Tensor | None,
    spacing_mm: tuple[float, float, float],
) -> Solution:
    """Bring a solution back to its start where the scan surprises the prior or a mask says so.

    x <- start + (m after / m before) (x - start)

    Samples move along with their mean and stay as far apart as they were: where the prior is
    silenced, less is known than before, not more.

    Args:
        problem: The problem that was solved.
        solution: Its solution, before data consistency.
        rmse: See `surprise_map`; None looks for no surprise.
        mask: See `protect`.
        spacing_mm: See `surprise_map`.

    Returns:
        The solution, with where the prior spoke, the surprise, and the image as it was.
    """
    surprise = None
    if rmse is not None:
        surprise = surprise_map(problem, problem.scale.to_unit(solution.x), rmse, spacing_mm)
    m = protect(problem, surprise, mask).m
    kept = torch.where(problem.m > 0.0, m / problem.m.clamp_min(1e-6), 1.0)
    start = finish(problem, problem.start)
    facts = {**solution.facts, **({} if mask is None else protected_facts(mask))}
    if surprise is not None:
        facts["surprising_share"] = float((surprise > SEVERE).float().mean())
    x = start + kept * (solution.x - start)
    return replace(
        solution,
        x=x,
        samples=None if solution.samples is None else solution.samples + (x - solution.x),
        prior_mask=m,
        facts=facts,
        surprise=surprise,
        unprotected=solution.x,
    )
