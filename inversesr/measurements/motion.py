"""Motion of the head from volume to volume of a series, found with the model of its slices.

    minimise over the pose p, gain g and offset o      sum_i h((y - g A W_p m - o)_i / s)

m is an image of the head. Derivatives of m by small motions are made once; moved into the pose
they are those of the model, so that a step of Gauss and Newton's method costs one resampling of
seven images. h is Huber's penalty. Gain and offset take up what changes all of the head, such as a
contrast agent.

Reference: Baker, Matthews (2004), Lucas-Kanade 20 years on: a unifying framework, International
Journal of Computer Vision 56:221-255, doi:10.1023/B:VISI.0000011205.11775.fd; Huber (1964),
doi:10.1214/aoms/1177703732.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from inversesr.measurements.poses import HUBER_BEND, SIGMA_PER_MAD, moved_by
from inversesr.operators.protocol import LinearOperator
from inversesr.operators.resample import RigidResample
from inversesr.operators.separable import Array, SeparableOperator
from inversesr.volume import Affine, Grid

N_STEPS = 6
STRIDE = 2
# Motions by which the image is differentiated, and below which it is at rest.
DEGREES, MM = 0.5, 0.5
STILL = 0.01
# One step moves the head by at most this, in degrees and mm.
LARGEST = 3.0
# Voxels below this share of the bright end are no head.
LEAST_BRIGHTNESS = 0.1
BRIGHT_QUANTILE = 0.98


@dataclass(frozen=True, eq=False)
class Head:
    """An image of the head and how it changes by small motions.

    Attributes:
        grid: Its voxels.
        images: The image, and its derivatives by rotation in degrees about the three axes and by
            shift in mm along them, shape (7, *grid.shape).
        centre_mm: Point about which is turned.
    """

    grid: Grid
    images: torch.Tensor
    centre_mm: Affine


def differentiated(m: torch.Tensor, grid: Grid) -> Head:
    """Return an image with its derivatives by small motions of the head.

    Args:
        m: Image, shape grid.shape.
        grid: Its voxels.
    """
    middle = (np.array(grid.shape) - 1) / 2.0
    centre = grid.affine[:3, :3] @ middle + grid.affine[:3, 3]
    columns = [m]
    for k, size in enumerate(np.repeat([DEGREES, MM], 3)):
        motion = np.zeros(6)
        motion[k] = size
        ahead, back = (
            RigidResample(grid, grid, moved_by(np.eye(4), sign * motion, centre))(m)
            for sign in (1.0, -1.0)
        )
        columns.append((ahead - back) / (2.0 * size))
    return Head(grid, torch.stack(columns), centre)


@dataclass(frozen=True, eq=False)
class Sight:
    """What is compared of each volume.

    Attributes:
        slices: A, from an image in the pose of the volume to its slices.
        own: Voxels of such an image.
        columns: Which voxels of a volume are compared.
    """

    slices: LinearOperator
    own: Grid
    columns: tuple[slice, slice, slice] = (slice(None), slice(None), slice(None))


def sight(slices: SeparableOperator, own: Grid, slice_axis: int) -> Sight:
    """Return every second column of voxels along both axes within the slice.

    They hold thousands of voxels where six numbers are wanted. Where voxels within the slice are
    averages of finer ones, all are compared.

    Args:
        slices: A.
        own: Voxels of its argument.
        slice_axis: Axis across the slices.
    """
    within = [axis for axis in range(3) if axis != slice_axis]
    if any(slices.matrices[axis] is not None for axis in within):
        return Sight(slices, own)
    step = np.ones(4)
    step[within] = STRIDE
    x, y, z = (-(-n // int(m)) for n, m in zip(own.shape, step, strict=False))
    matrix: list[Array | None] = [None, None, None]
    matrix[slice_axis] = slices.matrices[slice_axis]
    few = SeparableOperator((x, y, z), (matrix[0], matrix[1], matrix[2]))
    columns = tuple(slice(None, None, int(n)) for n in step[:3])
    return Sight(few, Grid((x, y, z), own.affine @ np.diag(step)), columns)  # type: ignore[arg-type]


def find_pose(head: Head, seen: Sight, y: torch.Tensor, pose: Affine) -> Affine:
    """Return the pose in which an image explains a volume best.

    Args:
        head: The image; see `differentiated`.
        seen: What is compared.
        y: The volume.
        pose: Where the search begins, to within a few mm: world of the image from world of the
            volume.
    """
    for _ in range(N_STEPS):
        moved = RigidResample(head.grid, seen.own, pose)(head.images)
        model = [seen.slices(one).flatten().double() for one in moved]
        motion = _step(model, y[seen.columns].flatten().double())
        pose = moved_by(np.eye(4), motion, head.centre_mm) @ pose
        if bool((np.abs(motion) < STILL).all()):
            break
    return np.asarray(pose)


def _step(seen: list[torch.Tensor], y: torch.Tensor) -> Affine:
    """Return the motion that lessens the misfit, in degrees and mm, shape (6,)."""
    model = seen[0]
    bright = float(torch.quantile(model[:: max(1, len(model) // 100_000)], BRIGHT_QUANTILE))
    inside = model > LEAST_BRIGHTNESS * bright
    J = torch.stack([*seen[1:], model, torch.ones_like(model)], dim=1)[inside]
    misfit = (y - model)[inside]
    weight = torch.ones_like(misfit)
    change = torch.zeros(8, dtype=torch.float64)
    for _ in range(2):
        change = torch.linalg.lstsq(
            (J * weight[:, None]).T @ J, (J.T @ (weight * misfit))[:, None]
        ).solution[:, 0]
        left = (misfit - J @ change).abs()
        bend = HUBER_BEND * SIGMA_PER_MAD * float(left.median())
        weight = (bend / left.clamp_min(1e-12)).clamp_max(1.0)
    # the derivative is that of g m: a gain scales it too
    motion = change[:6] / max(1.0 + float(change[6]), 0.1)
    return np.asarray(np.clip(motion.cpu().numpy(), -LARGEST, LARGEST), dtype=np.float64)


def track(
    find: Callable[[int, Affine], Affine], n_volumes: int, start: int, pose: Affine
) -> list[Affine]:
    """Follow the head from one volume to its neighbours, forwards and backwards.

    Args:
        find: Pose of a volume from that of its neighbour.
        n_volumes: Number of volumes.
        start: Volume whose pose is known.
        pose: That pose.
    """
    poses = [pose] * n_volumes
    for t in range(start + 1, n_volumes):
        poses[t] = find(t, poses[t - 1])
    for t in range(start - 1, -1, -1):
        poses[t] = find(t, poses[t + 1])
    return poses


def parameters(pose: Affine, centre_mm: Affine) -> Affine:
    """Return a pose as rotations about the three axes in degrees and shift in mm, shape (6,).

    The inverse of `poses.moved_by` from the identity.

    Args:
        pose: Rigid transform, shape (4, 4).
        centre_mm: Point about which is turned.
    """
    degrees = Rotation.from_matrix(pose[:3, :3]).as_euler("xyz", degrees=True)
    shift = pose[:3, 3] - centre_mm + pose[:3, :3] @ centre_mm
    return np.concatenate([degrees, shift])
