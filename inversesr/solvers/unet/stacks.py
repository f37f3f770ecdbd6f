"""Several stacks by a prior: the mean of their restored images, consistent with all of them.

    x = argmin |x - mean_k(R_k x_k)|^2 / r^2 + sum_i h((A x - y)_i / sigma)

x_k is what the network makes of stack k alone, R_k brings it onto the common grid: along the axis
across its slices each image is the weakest, and the measured slices of the others put that right.
h is Huber's penalty: what contradicts the rest, such as a slice that motion spoilt, counts less.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from inversesr.operators.compose import Composed, Diagonal
from inversesr.operators.conjugate_gradient import Effort
from inversesr.operators.protocol import LinearOperator
from inversesr.operators.proximal import prox
from inversesr.protocols import Solution

# Error of the mean image, as a share of the intensity range; see docs/decisions, 016.
IMAGE_SD = 0.06
EFFORT = Effort(tolerance=3e-3, n_steps=15)
# Misfits beyond so many standard deviations, or typical misfits where those are larger, count by
# their size, not by its square.
HUBER_BEND, SIGMA_PER_MAD = 3.0, 1.4826


def mean_image(images: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Return the weighted mean of images; where no weight is above zero, the first one."""
    total = torch.stack(list(weights)).sum(0)
    summed = torch.stack([w * image for w, image in zip(weights, images, strict=True)]).sum(0)
    return torch.where(total > 0.0, summed / total.clamp_min(1e-6), images[0])


def unet_stacks(
    A: LinearOperator,
    y: Tensor,
    mean: Tensor,
    progress: Callable[[int, int], None],
    n_rounds: int = 2,
) -> Solution:
    """Make the mean image of several stacks consistent with all of them.

    Args:
        A: All stacks, each scaled so that its noise has standard deviation 1; see
            `operators.compose.Stacked`. What is left out has weight 0.
        y: All stacks, flattened and joined, shape A.out_shape, scaled likewise.
        mean: Mean of the images that the network made of each stack, shape A.in_shape.
        progress: Called with the number of rounds done and their total.
        n_rounds: Rounds; after each, what contradicts the image is given less weight.

    Reference: Huber (1964), Robust estimation of a location parameter, Annals of Mathematical
    Statistics 35(1):73-101, doi:10.1214/aoms/1177703732.
    """
    variance = (IMAGE_SD * float(mean.max() - mean.min())) ** 2
    trust = torch.ones_like(y)
    x, n_steps, misfits = mean, 0, []
    for n_round in range(1, n_rounds + 1):
        found = prox(Composed(Diagonal(trust), A), mean, trust * y, variance, 1.0, EFFORT)
        x, n_steps = found.x, n_steps + found.n_steps
        misfit = (A(x) - y).abs()
        counted = misfit[misfit > 0.0]
        typical = SIGMA_PER_MAD * float(counted.median()) if counted.numel() else 0.0
        misfits.append(typical)
        bend = HUBER_BEND * max(1.0, typical)
        trust = (bend / misfit.clamp_min(1e-9)).clamp_max(1.0).sqrt()
        progress(n_round, n_rounds)
    status = "mean of the restored scans, brought to agree with all of them to within their noise"
    return Solution(x, status, n_steps, {"misfit_over_noise": misfits})
