"""From a scan and an installed prior to a `Problem`: load, place, scale, warm up, or refuse."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from inversesr.acquisition import forward_operator
from inversesr.operators.separable import SeparableOperator
from inversesr.priors.counted import CountedPrior, count_passes
from inversesr.priors.latent_diffusion import LatentDiffusionPrior, load_prior
from inversesr.priors.schedule import ddim
from inversesr.solver_options import SolverOptions
from inversesr.solvers.chain import draw, short_path
from inversesr.solvers.placement import Placement, place_fixed, place_free, soft_mask
from inversesr.solvers.pose import PriorRefused, find_pose
from inversesr.solvers.problem import IntensityScale, Problem
from inversesr.solvers.spline import spline_operator
from inversesr.solvers.task import Task
from inversesr.volume import Volume

# The mean image needs no detail: two chains of four steps from nearly pure noise, and their
# mirror images, are enough.
N_MEAN_CHAINS, N_MEAN_STEPS, MEAN_SIGMA = 2, 4, 8.0


def load_for_task(name: str, task: Task, options: SolverOptions) -> LatentDiffusionPrior:
    """Load a prior with the gradients that were chosen; a free one has no shape yet.

    Raises:
        InputError: the prior is not installed, not intact, or cannot decode.
    """
    prior = load_prior(name, task.y.device)
    return replace(prior, gradients="lean" if options.backend == "lean" else "stock")


def prepare(
    task: Task, prior: LatentDiffusionPrior, warm: Tensor | None, seed: int
) -> tuple[Problem, CountedPrior] | PriorRefused:
    """Place a prior on a scan and state what is to be solved.

    Args:
        task: The scan.
        prior: The prior.
        warm: First guess in the scan's intensities, on the fine grid; None takes the spline.
        seed: Seed of what the alignment draws.

    Returns:
        The problem and the prior as solvers use it, or why the prior must not be used.
    """
    card = prior.card
    if card.grid.kind == "free":
        placed = place_free(task.fine, task.acquisition.slice_axis, card.grid)
        counted = count_passes(prior.on_shape(placed.shape))
    else:
        counted = count_passes(prior)
        found = _place_fixed(task, counted, seed)
        if isinstance(found, PriorRefused):
            return found
        placed = found
    scale = intensity_scale(task.y, card.intensity.low_percentile, card.intensity.high_percentile)
    reached = placed.W(torch.ones(placed.shape, device=task.y.device))
    problem = Problem(
        A=task.A,
        y=scale.to_unit(task.y),
        sigma=task.sigma / scale.width,
        interpolate=spline_operator(task.scan_grid, task.fine),
        W=placed.W,
        V=placed.V,
        # a little below 1: weights of interpolation are rounded
        m=soft_mask((reached > 0.99).float(), task.fine.spacing_mm),
        slice_axis=task.acquisition.slice_axis,
        scale=scale,
        warm=None if warm is None else scale.to_unit(warm),
        blurred=lambda factor: blurred_operator(task, factor),
    )
    return problem, counted


def intensity_scale(y: Tensor, low_percentile: float, high_percentile: float) -> IntensityScale:
    """Return how a scan's intensities become 0 to 1 by two of its percentiles."""
    low, high = np.percentile(y.cpu().numpy(), [low_percentile, high_percentile])
    return IntensityScale(float(low), float(high - low) or 1.0)


def blurred_operator(task: Task, factor: float) -> SeparableOperator:
    """Return the forward operator of slices thicker by a factor."""
    thick = replace(task.acquisition, thickness_mm=factor * task.acquisition.thickness_mm)
    return forward_operator(task.scan_grid, task.fine, thick)


@torch.no_grad()
def mean_image(prior: CountedPrior, like: Tensor, generator: torch.Generator) -> Tensor:
    """Return the image that a prior makes of next to no information.

    Args:
        prior: The prior.
        like: Any tensor on the device to compute on.
        generator: Source of the noise, which enters with both signs.
    """
    t = prior.schedule.timestep_of(MEAN_SIGMA)
    path = short_path(prior.schedule, t, N_MEAN_STEPS)
    total = torch.zeros(prior.latent_shape, device=like.device)
    for _ in range(N_MEAN_CHAINS):
        eps = draw(prior.latent_shape, like, generator)
        for sign in (1.0, -1.0):
            total += ddim(prior.schedule, prior.denoise, sign * eps, path)
    return prior.decode(total / (2 * N_MEAN_CHAINS))


def _place_fixed(task: Task, prior: CountedPrior, seed: int) -> Placement | PriorRefused:
    """Find the head's pose in the prior's world by the prior's mean image."""
    generator = torch.Generator().manual_seed(seed)
    mean = Volume(mean_image(prior, task.y, generator).cpu().numpy(), prior.grid)
    # the spline fills what lies between thick slices, so that there is something to align
    pose = find_pose(Volume(task.x0.cpu().numpy(), task.fine), None, mean, seed)
    if isinstance(pose, PriorRefused):
        return pose
    return place_fixed(task.fine, prior.grid, pose.prior_world_from_scan_world)
