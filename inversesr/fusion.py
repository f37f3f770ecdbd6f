"""Several scans of one subject and contrast, brought together on one fine grid.

    y_k = gain_k A_k W_k x + offset_k + noise_k

W_k carries the common fine grid into the fine grid of scan k, wherever that scan's slices lay.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from inversesr.acquisition import (
    Acquisition,
    describe_acquisition,
    fine_grid,
    forward_operator,
)
from inversesr.alignment import motion_mm, register_rigid
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.nifti import Scan
from inversesr.noise import SIGMA_PER_MAD, estimate_noise
from inversesr.operators.compose import Composed, Stacked, Weighted
from inversesr.operators.conjugate_gradient import conjugate_gradient
from inversesr.operators.resample import RigidResample
from inversesr.protocols import Operator, Solution
from inversesr.solvers.spline import spline
from inversesr.solvers.tv_stacks import tv_stacks
from inversesr.volume import Affine, Grid, Image, Volume

# A voxel of a stack counts when this much of it lies inside the common grid.
LEAST_COVERAGE = 0.99
# Conjugate gradient steps of the first, unregularised fit.
N_FIRST_STEPS = 4
LEAST_COMMON_VOXELS = 1000
# Noise below this share of the range is rounding.
LEAST_NOISE_SHARE = 1e-3


@dataclass(frozen=True, eq=False)
class Stack:
    """One scan, its place and its intensities with respect to the first one.

    Attributes:
        scan: The scan as it was read.
        acquisition: How it was taken.
        operator: A_k W_k, from the common fine grid to its voxels.
        coverage: Share of each voxel that the common grid covers, shape operator.out_shape.
        motion_mm: Largest displacement that registration found.
        y: Its intensities on the first scan's scale, shape operator.out_shape.
        sigma: Noise, with what the model cannot explain, on that scale.
    """

    scan: Scan
    acquisition: Acquisition
    operator: Operator
    coverage: torch.Tensor
    motion_mm: float
    y: torch.Tensor
    sigma: float


@dataclass(frozen=True, eq=False)
class Fusion:
    """What fusing several stacks gave: the grid, the stacks as used, and the solution."""

    fine: Grid
    stacks: tuple[Stack, ...]
    solution: Solution


def fuse(
    scans: Sequence[Scan],
    config: Config,
    mask: Image | None,
    progress: Callable[[str, int, int], None],
    device: torch.device,
) -> Fusion:
    """Fuse several scans into one image on the fine grid of the first.

    Args:
        scans: Scans of one subject and contrast; the first gives the space and intensities.
        config: Choices of the run.
        mask: Where registration looks, on the first scan's grid; None for everywhere.
        progress: Called with a phase, the steps done and their total.
        device: Where to compute.

    Raises:
        InputError: a scan does not overlap the first.
    """
    first = scans[0]
    acquisitions = [describe_acquisition(scan, config) for scan in scans]
    fine = fine_grid(first.volume.grid, acquisitions[0])
    y0 = torch.from_numpy(first.volume.data).to(device)
    x0 = spline(y0, first.volume.grid, fine)
    stacks = []
    for index, (scan, acquisition) in enumerate(zip(scans, acquisitions, strict=True)):
        progress("registering", index, len(scans))
        pose = np.eye(4)
        if index > 0:
            pose = register_rigid(first.volume, scan.volume, mask, config.seed)
        stacks.append(_stack(scan, acquisition, fine, pose, x0))
    progress("registering", len(scans), len(scans))
    x0 = _first_fit(stacks, x0)
    stacks = [_with_noise(stack, x0, config.noise) for stack in stacks]
    A, y = _whitened(stacks)
    solution = tv_stacks(A, y, x0, 1.0, lambda done, total: progress("fusing", done, total))
    return Fusion(fine, tuple(stacks), solution)


def _stack(
    scan: Scan, acquisition: Acquisition, fine: Grid, pose: Affine, x0: torch.Tensor
) -> Stack:
    """Place one scan and bring its intensities onto the scale of x0."""
    own_fine = fine_grid(scan.volume.grid, acquisition)
    A = forward_operator(scan.volume.grid, own_fine, acquisition)
    operator: Operator = A
    if not own_fine.same_as(fine) or not np.allclose(pose, np.eye(4)):
        operator = Composed(A, RigidResample(fine, own_fine, pose))
    coverage = operator(torch.ones_like(x0))
    y = torch.from_numpy(scan.volume.data).to(x0)
    seen = coverage >= LEAST_COVERAGE
    if int(seen.sum()) < LEAST_COMMON_VOXELS:
        message = f"{scan.name} hardly overlaps the first scan: expected scans of one subject"
        raise InputError(message)
    gain, offset = _gain_and_offset(y[seen], operator(x0)[seen])
    moved = motion_mm(pose, scan.volume)
    return Stack(scan, acquisition, operator, coverage, moved, gain * y + offset, 0.0)


def _gain_and_offset(y: torch.Tensor, reference: torch.Tensor) -> tuple[float, float]:
    """Match mean and standard deviation: least squares would shrink a noisy scan."""
    y, reference = y.double(), reference.double()
    gain = float(reference.std() / y.std().clamp_min(1e-12))
    return gain, float(reference.mean()) - gain * float(y.mean())


def _first_fit(stacks: list[Stack], x0: torch.Tensor) -> torch.Tensor:
    """Least squares from all stacks, stopped early."""
    A, y = _whitened(stacks)
    return conjugate_gradient(lambda d: A.adjoint(A(d)), A.adjoint(y), x0, N_FIRST_STEPS)


def _with_noise(stack: Stack, x: torch.Tensor, stated: float | None) -> Stack:
    """Judge a stack's noise by its own voxels and by what a first fit leaves of it."""
    seen = stack.coverage >= LEAST_COVERAGE
    residual = (stack.operator(x) - stack.y)[seen].abs().cpu().numpy()
    sigma = stated
    if sigma is None:
        volume = Volume(stack.y.cpu().numpy(), stack.scan.volume.grid)
        own = estimate_noise(volume, stack.acquisition.slice_axis)
        sigma = max(own, SIGMA_PER_MAD * float(np.median(residual)))
    floor = LEAST_NOISE_SHARE * float(stack.y.max() - stack.y.min())
    return Stack(
        stack.scan, stack.acquisition, stack.operator, stack.coverage, stack.motion_mm, stack.y,
        max(sigma, floor),
    )  # fmt: skip


def _whitened(stacks: list[Stack]) -> tuple[Stacked, torch.Tensor]:
    """All stacks as one operator whose noise is 1, leaving out what the grid does not cover."""
    operators, parts = [], []
    for stack in stacks:
        weights = (stack.coverage >= LEAST_COVERAGE).to(stack.y) / (stack.sigma or 1.0)
        operators.append(Weighted(stack.operator, weights))
        parts.append((weights * stack.y).reshape(-1))
    return Stacked(tuple(operators)), torch.cat(parts)
