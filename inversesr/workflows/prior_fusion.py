"""Several stacks by a prior: each is restored, and one image found that agrees with all."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from inversesr.acquisition.registration import motion_mm
from inversesr.measurements.poses import refine_pose
from inversesr.measurements.slices import Task
from inversesr.operators.compose import Composed
from inversesr.operators.protocol import LinearOperator
from inversesr.operators.resample import RigidResample
from inversesr.protocols import Solution
from inversesr.solvers.unet.stacks import mean_image, unet_stacks
from inversesr.volume import Affine
from inversesr.workflows.stack import LEAST_COVERAGE, Stack, whitened

# Poses are refined so many times against the image itself.
N_REFINEMENTS = 1
# Rounds in which contradictions are given less weight, once the poses are final.
LAST_ROUNDS = 2

# restores a stack on the fine grid of its own
Thin = Callable[[Task], torch.Tensor]


def through_prior(
    stacks: Sequence[Stack],
    x: torch.Tensor,
    thin: Thin,
    progress: Callable[[str, int, int], None],
) -> tuple[list[Stack], Solution]:
    """Restore every stack by the prior, and find the image that agrees with all of them.

    Args:
        stacks: The stacks as registration placed them.
        x: Their fusion by total variation.
        thin: Restores one stack.
        progress: Called with a phase, the steps done and their total.

    Returns:
        The stacks, their poses refined against the image, and the image.
    """
    images = []
    for k, stack in enumerate(stacks, start=1):
        images.append(thin(Task(stack.y, stack.grid, stack.acquisition, stack.sigma)))
        progress("restoring stacks", k, len(stacks))
    refined = list(stacks)
    for n_round in range(1, N_REFINEMENTS + 2):
        if n_round > 1:
            refined = [refined[0], *(_at_rest(stack, x) for stack in refined[1:])]
        mean = mean_image(*_on_common_grid(refined, images))
        report = partial(progress, f"joining stacks, round {n_round}")
        n_rounds = 1 if n_round <= N_REFINEMENTS else LAST_ROUNDS
        solution = unet_stacks(*whitened(refined), mean, report, n_rounds)
        x = solution.x
    return refined, solution


def _on_common_grid(
    stacks: Sequence[Stack], images: Sequence[torch.Tensor]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the images of stacks on the common grid, and where each of them reaches."""
    there, reached = [images[0]], [torch.ones_like(images[0])]
    for stack, image in list(zip(stacks, images, strict=True))[1:]:
        W = stack.resample
        inverse = np.asarray(np.linalg.inv(W.source_world_from_target_world), dtype=np.float64)
        back = RigidResample(W.target, W.source, inverse)
        there.append(back(image))
        reached.append((back(torch.ones_like(image)) >= LEAST_COVERAGE).to(image))
    return there, reached


def _at_rest(stack: Stack, x: torch.Tensor) -> Stack:
    """Return a stack whose pose explains it best by the image."""
    A, W = stack.forward, stack.resample

    def operator_at(pose: Affine) -> LinearOperator:
        return Composed(A, RigidResample(W.source, W.target, pose))

    middle = (np.array(W.target.shape) - 1.0) / 2.0
    centre_mm = (W.target.affine @ np.append(middle, 1.0))[:3]
    pose = refine_pose(
        operator_at,
        x,
        stack.y,
        W.source_world_from_target_world,
        centre_mm,
        stack.coverage >= LEAST_COVERAGE,
    )
    moved = motion_mm(pose, stack.grid)
    operator = operator_at(pose)
    # voxels that the motion brought out of the common grid say nothing
    coverage = torch.minimum(stack.coverage, operator(torch.ones_like(x)))
    return replace(stack, operator=operator, coverage=coverage, motion_mm=moved)
