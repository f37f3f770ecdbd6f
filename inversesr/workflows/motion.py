"""Restores one stack whose slices moved between or within its interleaves.

    p_g            pose of a group of slices, against the image of the other interleave
    m = N(A x)     the network on the slices that an unmoved head would have given
    x = argmin |x - m|^2 / r^2 + sum_g sum_i h((A_g W(p_g) x - y_g)_i / sigma)

The second and third line alternate. h is Huber's penalty: what contradicts the rest counts less.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from inversesr.measurements.slice_motion import (
    Part,
    found_pose,
    interleaves,
    largest_motion,
    single_slices,
    slice_pose,
    whole_operator,
    with_poses,
)
from inversesr.measurements.slices import Task
from inversesr.operators.compose import Composed, Diagonal, Stacked
from inversesr.operators.resample import RigidResample
from inversesr.protocols import Solution
from inversesr.solvers.protocol import Progress
from inversesr.solvers.unet.stacks import mean_image, unet_stacks

SLICES, INTERLEAVES = "slices", "interleaves"
# Motions below both are those of a head at rest, as interpolation alone finds them.
LEAST_DEGREES, LEAST_MM = 0.8, 0.8
N_ROUNDS = 2
# Noise below this share of the range is rounding.
LEAST_NOISE_SHARE = 1e-3
COARSE_MM = (4.0, 2.0)

# Restores a stack on its own fine grid.
Thin = Callable[[Task], Tensor]


@dataclass(frozen=True, eq=False)
class Moved:
    """A stack whose head moved, restored.

    Attributes:
        solution: The image, in the pose of the first slice's group.
        parts: Its groups or slices, in their poses.
    """

    solution: Solution
    parts: list[Part]

    @property
    def facts(self) -> dict[str, Any]:
        """Return the poses as plain data."""
        poses = []
        for part in self.parts:
            turn, shift = part.moved_mm()
            poses.append(
                {"slices": list(part.slices), "degrees": turn.tolist(), "mm": shift.tolist()}
            )
        return {"poses": poses}


def is_moved(task: Task) -> bool:
    """Whether the interleaves of a stack lie so far apart that the head moved between them.

    Only interpolation is used, so that a run without motion loses next to no time.

    Args:
        task: The scan.
    """
    if task.acquisition.missing:
        return False
    parts = interleaves(task)
    still = parts[0].task.x0
    moved = replace(parts[1], pose=found_pose(parts[1], still, COARSE_MM))
    degrees, mm = largest_motion([moved])
    return degrees > LEAST_DEGREES or mm > LEAST_MM


def restore_moved(task: Task, kind: str, thin: Thin, progress: Progress) -> Moved:
    """Find the poses of the parts of a stack, and the image that agrees with all of them.

    Args:
        task: The scan.
        kind: "interleaves" or "slices": what moved as one.
        thin: Restores a stack.
        progress: Called with a phase, the steps done and their total.
    """
    groups = interleaves(task)
    images = []
    for n, part in enumerate(groups, start=1):
        images.append(thin(part.task))
        progress("restoring interleaves", n, len(groups))
    known = {part.slices: image for part, image in zip(groups, images, strict=True)}
    groups = with_poses(groups, lambda part: known[part.slices])
    parts = groups
    if kind == SLICES:
        degrees, mm = largest_motion(groups)
        if degrees <= LEAST_DEGREES and mm <= LEAST_MM:
            # slices that moved alone draw their whole group after them
            groups = [replace(part, pose=interleaves(task)[0].pose) for part in groups]
        parts = _with_slice_poses(task, groups, images, progress)
    start = _mean_of_groups(groups, images)
    report = partial(progress, "joining slices, round 1")
    x = unet_stacks(*_whitened(parts, task), start, report, 1).x
    A = whole_operator(task)
    for n_round in range(2, N_ROUNDS + 2):
        # the network restores what an unmoved head would have given
        m = thin(replace(task, y=A(x)))
        report = partial(progress, f"joining slices, round {n_round}")
        solution = unet_stacks(*_whitened(parts, task), m, report, 2)
        x = solution.x
    return Moved(solution, parts)


def _with_slice_poses(
    task: Task, groups: list[Part], images: list[Tensor], progress: Progress
) -> list[Part]:
    """Return every slice in its pose, against the image of the other interleave."""
    first, second = groups
    parts = []
    slices = single_slices(task, groups)
    for n, part in enumerate(slices, start=1):
        if part.slices[0] in second.slices:
            pose = slice_pose(part, images[0])
        else:  # seen from the second group, and then in the world of the first one
            back = torch.linalg.inv(torch.from_numpy(second.pose)).numpy()
            pose = second.pose @ slice_pose(replace(part, pose=back), images[1])
        parts.append(replace(part, pose=pose))
        progress("poses of slices", n, len(slices))
    assert first.slices[0] == 0
    return parts


def _mean_of_groups(groups: list[Part], images: list[Tensor]) -> Tensor:
    """Return the mean of the images of groups, brought into the world of the first one."""
    there, reached = [images[0]], [torch.ones_like(images[0])]
    for part, image in zip(groups[1:], images[1:], strict=True):
        inverse = torch.linalg.inv(torch.from_numpy(part.pose)).numpy()
        back = RigidResample(part.fine, part.fine, inverse)
        there.append(back(image))
        reached.append((back(torch.ones_like(image)) >= 0.99).to(image))
    return mean_image(there, reached)


def _whitened(parts: list[Part], task: Task) -> tuple[Stacked, Tensor]:
    """Return all parts as one operator whose noise is 1."""
    sigma = max(task.sigma, LEAST_NOISE_SHARE * float(task.y.max() - task.y.min()))
    operators, data = [], []
    for part in parts:
        weights = part.covered(part.pose).to(task.y) / sigma
        operators.append(Composed(Diagonal(weights), part.operator))
        data.append((weights * part.task.y).reshape(-1))
    return Stacked(tuple(operators)), torch.cat(data)
