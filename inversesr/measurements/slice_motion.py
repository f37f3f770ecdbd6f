"""Poses of parts of one stack: interleaved groups of slices, or single slices, that moved.

    y_g = A_g W(p_g) x + noise            g a group of slices, p_0 = 1 for the first one

Each group is compared with an image in which it has no part: that of the other interleave. So a
pose is not drawn to where the group's own slices would put it.

Reference: Gholipour, Estroff, Warfield (2010), Robust super-resolution volume reconstruction from
slice acquisitions, IEEE Transactions on Medical Imaging 29(10):1739-1758,
doi:10.1109/TMI.2010.2051680.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from torch import Tensor

from inversesr.acquisition.geometry import fine_grid, forward_operator
from inversesr.measurements.poses import refine_pose
from inversesr.measurements.slices import Task
from inversesr.operators.compose import Composed
from inversesr.operators.protocol import LinearOperator
from inversesr.operators.resample import RigidResample
from inversesr.volume import Affine, Grid

# Standard deviations by which image and slices are smoothed, one after the other, and how often
# poses are refined with each: what lies far apart is found first.
SMOOTHING_MM, N_EACH = (4.0, 2.0, 0.0), 2
LEAST_COVERAGE = 0.99
# A slice with fewer voxels of tissue does not tell its pose.
LEAST_TISSUE_VOXELS, TISSUE_SHARE = 400, 0.1
# A pose of its own is given to a slice where that leaves at most this share of its misfit.
LARGEST_MISFIT_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class Part:
    """Some slices of a stack that moved together.

    Attributes:
        slices: Their numbers in the stack.
        task: They alone, as a scan of their own.
        fine: Voxels of the image of the whole stack.
        pose: Where a point of theirs lies in the world of the first part, shape (4, 4).
    """

    slices: tuple[int, ...]
    task: Task
    fine: Grid
    pose: Affine

    def operator_at(self, pose: Affine) -> LinearOperator:
        """Return A_g W(p)."""
        return Composed(self.task.A, RigidResample(self.fine, self.task.fine, pose))

    @property
    def operator(self) -> LinearOperator:
        """Return the forward operator in its pose."""
        return self.operator_at(self.pose)

    @property
    def centre_mm(self) -> Affine:
        """Middle of its grid in the world."""
        middle = (np.array(self.task.fine.shape) - 1.0) / 2.0
        return np.asarray((self.task.fine.affine @ np.append(middle, 1.0))[:3])

    def covered(self, pose: Affine) -> Tensor:
        """Return which of its voxels lie within the image."""
        ones = torch.ones(self.fine.shape, dtype=self.task.y.dtype, device=self.task.y.device)
        return self.operator_at(pose)(ones) >= LEAST_COVERAGE

    def moved_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """Return rotation about the three axes in degrees, and shift of its middle in mm."""
        turn = Rotation.from_matrix(self.pose[:3, :3]).as_rotvec(degrees=True)
        shift = (self.pose @ np.append(self.centre_mm, 1.0))[:3] - self.centre_mm
        return turn, shift


def interleaves(task: Task, n_groups: int = 2) -> list[Part]:
    """Return the interleaved groups of a stack, none of them moved.

    Args:
        task: A scan without missing slices.
        n_groups: Every so manieth slice is of one group.
    """
    n = task.scan_grid.shape[task.slice_axis]
    groups = [tuple(range(g, n, n_groups)) for g in range(n_groups)]
    return [Part(group, _holed(task, group), task.fine, np.eye(4)) for group in groups]


def single_slices(task: Task, parts: list[Part]) -> list[Part]:
    """Return every slice of a stack as a part of its own, in the pose of its group.

    Args:
        task: The scan.
        parts: Its groups.
    """
    poses = {k: part.pose for part in parts for k in part.slices}
    return [Part((k,), _one_slice(task, k), task.fine, poses[k]) for k in sorted(poses)]


def _holed(task: Task, kept: tuple[int, ...]) -> Task:
    """Return a scan of which all but some slices are missing."""
    axis = task.slice_axis
    n = task.scan_grid.shape[axis]
    missing = tuple(k for k in range(n) if k not in kept)
    y = task.y.index_select(axis, torch.tensor(kept, device=task.y.device)).contiguous()
    return replace(task, y=y, acquisition=replace(task.acquisition, missing=missing))


def _one_slice(task: Task, k: int) -> Task:
    axis = task.slice_axis
    affine = task.scan_grid.affine.copy()
    affine[:3, 3] += k * affine[:3, axis]
    shape = list(task.scan_grid.shape)
    shape[axis] = 1
    grid = Grid((shape[0], shape[1], shape[2]), affine)
    y = task.y.narrow(axis, k, 1).contiguous()
    return Task(y, grid, task.acquisition, task.sigma)


def found_pose(
    part: Part, image: Tensor, smoothing_mm: tuple[float, ...] = SMOOTHING_MM
) -> Affine:
    """Return the pose in which an image explains a part best, from coarse to fine.

    Args:
        part: The part, in the pose where the search begins.
        image: An image on part.fine in which the part has no share.
        smoothing_mm: Standard deviations, the last one first where the motion is small already.
    """
    pose, task = part.pose, part.task
    spacing = part.task.scan_grid.spacing_mm
    for sd in smoothing_mm:
        x = _smoothed(image, [sd / s for s in part.fine.spacing_mm])
        within = [0.0 if a == task.slice_axis else sd / spacing[a] for a in range(3)]
        y = _smoothed(task.y, within)
        for _ in range(N_EACH):
            seen = part.covered(pose)
            if not _tells(task.y, seen):
                return part.pose
            pose = refine_pose(part.operator_at, x, y, pose, part.centre_mm, seen)
    return pose


def slice_pose(part: Part, image: Tensor) -> Affine:
    """Return the pose of one slice: that of its group, unless another explains it far better.

    A slice alone tells its pose less well than its group does.

    Args:
        part: The slice, in the pose of its group.
        image: An image on part.fine in which it has no share.
    """
    pose = found_pose(part, image, (0.0,))
    seen = part.covered(part.pose) & part.covered(pose)
    if not bool(seen.any()):
        return part.pose
    before, after = (
        float((part.operator_at(p)(image) - part.task.y)[seen].abs().mean())
        for p in (part.pose, pose)
    )
    return pose if after < LARGEST_MISFIT_SHARE * before else part.pose


def _tells(y: Tensor, seen: Tensor) -> bool:
    """Whether slices show enough to tell their pose."""
    tissue = y > TISSUE_SHARE * y.max()
    return int((tissue & seen).sum()) >= LEAST_TISSUE_VOXELS


def _smoothed(x: Tensor, sigma: list[float]) -> Tensor:
    if not any(sigma):
        return x
    return torch.from_numpy(gaussian_filter(x.cpu().numpy(), sigma)).to(x)


def with_poses(parts: list[Part], image_of: Callable[[Part], Tensor]) -> list[Part]:
    """Return the groups of a stack in their poses; the first one stays.

    Args:
        parts: The groups.
        image_of: Returns the image that a group gives alone, on the fine grid.
    """
    still = image_of(parts[0])
    return [parts[0], *(replace(part, pose=found_pose(part, still)) for part in parts[1:])]


def largest_motion(parts: list[Part]) -> tuple[float, float]:
    """Return the largest rotation in degrees and the largest shift in mm."""
    found = [part.moved_mm() for part in parts]
    degrees = max(float(np.linalg.norm(turn)) for turn, _ in found)
    return degrees, max(float(np.linalg.norm(shift)) for _, shift in found)


def whole_operator(task: Task) -> LinearOperator:
    """Return the operator of all slices of a stack, none of which moved."""
    acquisition = replace(task.acquisition, missing=())
    return forward_operator(task.scan_grid, fine_grid(task.scan_grid, acquisition), acquisition)
