"""Lays a prior with a grid of its own over a head: brain, pose, intensities, where it may speak.

    low   = a low percentile of the scan, which is air
    width = argmin sum (scan - low - width mean)^2     over the brain, in the pose
    m     = 0 to 1 across the edge of the brain         for a stripped prior or a stripped scan

The brain comes from the mask that was given, else from the scan itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from inversesr.acquisition.brain_mask import brain_mask, has_deepbet, stripped_region, whole_brain
from inversesr.errors import InputError
from inversesr.measurements.protocol import Measurement
from inversesr.operators.compose import Composed, Diagonal
from inversesr.operators.interpolation import spline
from inversesr.priors.card import PriorCard
from inversesr.solvers.latent.placement import FADE_MM, Placement, place_fixed, soft_mask
from inversesr.solvers.latent.pose import Pose, PriorRefused, find_pose, gain_to_mean
from inversesr.solvers.latent.problem import IntensityScale
from inversesr.volume import Volume

NO_BRAIN_NOTE = (
    "no brain mask was given and deepbet is not installed: the pose rests on the whole head, the "
    "intensities on its percentiles; pip install 'inversesr[brainmask]', or give --mask"
)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fixed prior on a scan.

    Attributes:
        placement: W, V and the shape of the prior grid.
        scale: The scan's intensities in the prior's.
        m: Weight of the prior on the fine grid, 0 to 1.
        facts: Quality of the pose and volume of the brain.
        notes: What should be known of it, in sentences.
    """

    placement: Placement
    scale: IntensityScale
    m: Tensor
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Brain:
    """The brain on the fine grid of a scan.

    Attributes:
        mask: 1 inside, else 0.
        is_stripped: Whether the scan shows nothing else.
    """

    mask: Tensor
    is_stripped: bool


def fit_fixed(
    task: Measurement, card: PriorCard, make_mean: Callable[[], Volume], seed: int
) -> Fitted | PriorRefused:
    """Lay a fixed prior over a scan.

    Args:
        task: The scan.
        card: Content of `prior.json`.
        make_mean: Gives the prior's mean image, which is not asked for when there is no brain.
        seed: Seed of what the registration draws.
    """
    try:
        brain = find_brain(task, is_needed=card.skull == "stripped")
    except InputError as error:
        return PriorRefused(f"{error}; tv is used instead")
    mean = make_mean()
    # the spline fills what lies between thick slices, so that there is something to align
    head = Volume(task.x0.cpu().numpy(), task.fine)
    mask = None if brain is None else brain.mask.cpu().numpy()
    pose = find_pose(head, mask, mean, seed, is_stripped=card.skull == "stripped")
    if isinstance(pose, PriorRefused):
        return pose
    placed = place_fixed(task.fine, mean.grid, pose.prior_world_from_scan_world)
    reached = placed.W(torch.ones(placed.shape, device=task.y.device))
    # a little below 1: weights of interpolation are rounded
    m = soft_mask((reached > 0.99).float(), task.fine.spacing_mm)
    if brain is not None and (brain.is_stripped or card.skull == "stripped"):
        confined = soft_brain(brain.mask, task.fine.spacing_mm)
        m = m * confined
        # what lies outside the brain must not reach an encoder that never saw it
        placed = replace(placed, V=Composed(placed.V, Diagonal(confined)))
    facts: dict[str, Any] = {"pose_quality": pose.quality}
    if brain is None:
        scale = percentile_scale(task.seen, card)
        return Fitted(placed, scale, m, facts, (NO_BRAIN_NOTE,))
    voxel_ml = float(np.prod(task.fine.spacing_mm)) / 1000.0
    facts["brain_ml"] = float(brain.mask.sum()) * voxel_ml
    return Fitted(placed, brain_scale(task, card, pose, mean, brain), m, facts)


def find_brain(task: Measurement, *, is_needed: bool) -> Brain | None:
    """Return the brain in a scan.

    Args:
        task: The scan, and its brain mask where one was given.
        is_needed: Whether there is no going on without it.

    Returns:
        The brain, or None where it is not needed and cannot be found for want of deepbet.

    Raises:
        InputError: the mask, given or found, is not that of a whole brain, or deepbet is missing.
    """
    stripped = stripped_region(Volume(task.seen.cpu().numpy(), task.seen_grid))
    on_scan = stripped
    if task.brain is not None:
        on_scan = whole_brain(task.brain.cpu().numpy() > 0, task.seen_grid)
    if on_scan is not None:
        mask = spline(torch.from_numpy(on_scan).to(task.y), task.seen_grid, task.fine) > 0.5
    elif not is_needed and not has_deepbet():
        return None
    else:
        mask = torch.from_numpy(brain_mask(Volume(task.x0.cpu().numpy(), task.fine)))
    return Brain(mask.to(task.y), stripped is not None)


def soft_brain(mask: Tensor, spacing_mm: tuple[float, float, float]) -> Tensor:
    """Return a mask that is a half at the surface of the brain and fades to both sides of it."""
    away_mm = distance_transform_edt(mask.cpu().numpy() < 0.5, sampling=spacing_mm)
    return soft_mask(torch.from_numpy(away_mm <= FADE_MM / 2.0).to(mask), spacing_mm)


def percentile_scale(y: Tensor, card: PriorCard) -> IntensityScale:
    """Return how a scan's intensities become 0 to 1 by the two percentiles of a card."""
    percentiles = [card.intensity.low_percentile, card.intensity.high_percentile]
    low, high = np.percentile(y.cpu().numpy(), percentiles)
    return IntensityScale(float(low), float(high - low) or 1.0)


def brain_scale(
    task: Measurement, card: PriorCard, pose: Pose, mean: Volume, brain: Brain
) -> IntensityScale:
    """Return how a scan's intensities become the prior's, by the brain alone.

    Fat, vessels and what the coil makes of the neck do not count, as they do in percentiles.
    """
    low = percentile_scale(task.seen, card).low
    above = Volume((task.x0 - low).cpu().numpy(), task.fine)
    gain = gain_to_mean(above, brain.mask.cpu().numpy(), mean, pose.prior_world_from_scan_world)
    return IntensityScale(low, gain)
