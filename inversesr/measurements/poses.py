"""Poses of stacks, refined against the image that is there: what registration left is removed.

    minimise over the pose p      sum_i h((y - A W_p x)_i / s)

by Gauss and Newton's method: A W_p x is differentiated by small motions of the head. The model
itself, thick slices and all, is compared with the scan, so the pose can be far more exact than a
registration of interpolated images. h is Huber's penalty, s the typical misfit.

Reference: Gholipour, Estroff, Warfield (2010), Robust super-resolution volume reconstruction from
slice acquisitions, IEEE Transactions on Medical Imaging 29(10):1739-1758,
doi:10.1109/TMI.2010.2051680; Huber (1964), doi:10.1214/aoms/1177703732.
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from inversesr.operators.protocol import LinearOperator
from inversesr.volume import Affine

N_STEPS = 3
# Motions by which the image is differentiated, and below which it is at rest.
DEGREES, MM = 0.2, 0.2
STILL_DEGREES, STILL_MM = 0.005, 0.005
# One step moves a stack by at most this.
LARGEST_DEGREES, LARGEST_MM = 2.0, 2.0
HUBER_BEND, SIGMA_PER_MAD = 1.345, 1.4826


def moved_by(pose: Affine, motion: np.ndarray, centre_mm: np.ndarray) -> Affine:
    """Return a pose after a small motion more.

    Args:
        pose: Rigid transform of world coordinates in mm, shape (4, 4).
        motion: Rotation about the three axes in degrees and shift in mm, shape (6,).
        centre_mm: Point about which is turned, in the world that pose maps from.
    """
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", motion[:3], degrees=True).as_matrix()
    turn[:3, 3] = centre_mm - turn[:3, :3] @ centre_mm + motion[3:]
    return np.asarray(pose @ turn)


def refine_pose(
    operator_at: Callable[[Affine], LinearOperator],
    x: Tensor,
    y: Tensor,
    pose: Affine,
    centre_mm: np.ndarray,
    seen: Tensor | None = None,
) -> Affine:
    """Return the pose in which an image explains a stack best.

    Args:
        operator_at: Returns A W_p for a pose.
        x: The image, in the intensities of y.
        y: The stack.
        pose: Where the search begins, to within a few mm.
        centre_mm: Middle of the stack in its own world.
        seen: Which voxels of y count, bool; None for all.
    """
    size = np.repeat([DEGREES, MM], 3)
    still = np.repeat([STILL_DEGREES, STILL_MM], 3)
    largest = np.repeat([LARGEST_DEGREES, LARGEST_MM], 3)
    counted = torch.ones_like(y, dtype=torch.bool) if seen is None else seen
    best = None
    for _ in range(N_STEPS):
        misfit = (y - operator_at(pose)(x))[counted].double()
        weight, cost = _robust(misfit)
        if best is not None and cost >= best[0]:
            return best[1]
        best = (cost, pose)
        columns = []
        for k in range(6):
            step = np.zeros(6)
            step[k] = size[k]
            ahead = operator_at(moved_by(pose, step, centre_mm))(x)[counted]
            back = operator_at(moved_by(pose, -step, centre_mm))(x)[counted]
            columns.append((ahead - back).double() / (2.0 * size[k]))
        J = torch.stack(columns, dim=1)
        normal = (J * weight[:, None]).T @ J
        change = torch.linalg.lstsq(normal, (J.T @ (weight * misfit))[:, None]).solution[:, 0]
        motion = np.clip(change.cpu().numpy(), -largest, largest)
        pose = moved_by(pose, motion, centre_mm)
        if bool((np.abs(motion) < still).all()):
            return pose
    return pose


def _robust(misfit: Tensor) -> tuple[Tensor, float]:
    """Return Huber's weights of a misfit, and its typical size."""
    typical = SIGMA_PER_MAD * float(misfit.abs().median())
    bend = HUBER_BEND * max(typical, 1e-12)
    weight = (bend / misfit.abs().clamp_min(1e-12)).clamp_max(1.0)
    return weight, float((weight * misfit.square()).mean())
