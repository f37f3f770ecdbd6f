"""What posterior samples say of an image: deviation and quantiles, voxel by voxel.

    sd^2 = sum (x_k - mean)^2 / (n - 1),      x_q = x + t_q sd (1 + 1/n)^(1/2)

x is the image that is written and t_q Student's quantile for n - 1 degrees of freedom. Sorting so
few samples would overstate what is known: of the usual 8, the lowest and the highest have
78 % of all images between them, and no 90 % interval can be read off.

Reference: Geisser (1993), Predictive Inference: An Introduction, doi:10.1201/9780203742310.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from inversesr.acquisition.foreground import foreground
from inversesr.protocols import Solution
from inversesr.uncertainty.coverage import width

# Between them lie 90 %.
QUANTILES = (0.05, 0.95)
LEAST_SAMPLES = 2


@dataclass(frozen=True, eq=False)
class Posterior:
    """Summary of samples, voxel by voxel.

    Attributes:
        sd: Standard deviation with n - 1 in the denominator.
        quantiles: Quantile in (0, 1) -> image.
    """

    sd: Tensor
    quantiles: dict[float, Tensor]


def summarise(
    x: Tensor, samples: Tensor, quantiles: tuple[float, ...] = QUANTILES
) -> Posterior | None:
    """Summarise samples about an image.

    Args:
        x: The image, shape of one sample: the samples' mean, made consistent with the scan or not.
        samples: Shape (n, *image shape).
        quantiles: Which quantiles, each in (0, 1).

    Returns:
        The summary; None of a single sample, which says nothing of its spread.
    """
    n = len(samples)
    if n < LEAST_SAMPLES:
        return None
    sd = samples.std(dim=0)
    return Posterior(sd, {q: x + width(2.0 * q - 1.0, n) * sd for q in quantiles})


def scale_spread(solution: Solution, factor: float) -> Solution:
    """Move samples away from their mean by a factor, and record it.

    Args:
        solution: A solution; one without samples is returned as it is.
        factor: Above 0; see `calibration.fit_factor`.
    """
    if solution.samples is None:
        return solution
    mean = solution.samples.mean(dim=0)
    facts = {**solution.facts, "sd_factor": factor}
    return replace(solution, samples=mean + factor * (solution.samples - mean), facts=facts)


def factor_of_expected(samples: Tensor, expected: Tensor, share: float) -> float | None:
    """Return the factor that gives samples the spread that a scan of its kind needs.

        factor = share median(expected) / median(sd)

    How far samples differ from one scan to the next says little of their errors; what a network
    that has seen errors expects in the same image says much. The pattern stays the samples' own.

    Args:
        samples: Shape (n, *image shape), n at least 2.
        expected: Standard deviation of the error that is expected of their mean, image shape.
        share: Deviation of samples over expected error, from the prior's card.

    Returns:
        The factor; None where the samples do not differ.
    """
    inside = torch.from_numpy(foreground(samples.mean(dim=0).cpu().numpy())).to(samples.device)
    found = float(samples.std(dim=0)[inside].median())
    return share * float(expected[inside].median()) / found if found > 0.0 else None
