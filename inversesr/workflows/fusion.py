"""Several scans of one subject and contrast, brought together on one fine grid.

    y_k = gain_k A_k W_k x + offset_k + noise_k

W_k carries the common fine grid into the fine grid of scan k, wherever that scan's slices lay.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from scipy.ndimage import affine_transform

from inversesr.acquisition.geometry import (
    Acquisition,
    describe_acquisition,
    fine_grid,
    forward_operator,
)
from inversesr.acquisition.likeness import LEAST_LIKENESS, detail_likeness
from inversesr.acquisition.missing import filled_volume, measured
from inversesr.acquisition.noise import estimate_noise
from inversesr.acquisition.registration import motion_mm, register_rigid
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.names import SUBJECT, label_in
from inversesr.io.nifti import Scan
from inversesr.operators.compose import Composed
from inversesr.operators.interpolation import spline
from inversesr.operators.resample import RigidResample
from inversesr.protocols import Solution
from inversesr.solvers.tv.stacks import tv_stacks
from inversesr.volume import Affine, Grid, Image, Volume
from inversesr.workflows.prior_fusion import Thin, through_prior
from inversesr.workflows.stack import LEAST_COVERAGE, Stack, whitened

LEAST_COMMON_VOXELS = 1000
# Noise below this share of the range is rounding.
LEAST_NOISE_SHARE = 1e-3
# The first round registers to the first scan, the next ones to what was fused so far.
N_ROUNDS = 2
# With a prior, what is fused before need only be good enough to be registered to.
ROUGH_STEPS = 2
# A stack is cut to the mask with this margin, for slices that stick out of it.
MARGIN_MM = 12.0


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
    thin: Thin | None = None,
) -> Fusion:
    """Fuse several scans into one image on the fine grid of the first.

    Args:
        scans: Scans of one subject and contrast; the first gives the space and intensities.
        config: Choices of the run.
        mask: What moves as one, on the first scan's grid; outside it only the first scan counts.
            None for everything.
        progress: Called with a phase, the steps done and their total.
        device: Where to compute.
        thin: Restores one stack by the prior; None for total variation alone.

    Raises:
        InputError: a scan does not overlap the first, or shows another head.
    """
    acquisitions = [describe_acquisition(scan, config) for scan in scans]
    first = scans[0].volume
    fine = fine_grid(first.grid, acquisitions[0])
    # to be registered and to begin from, stacks have no holes
    whole = [
        filled_volume(s.volume, a.slice_axis, a.missing)
        for s, a in zip(scans, acquisitions, strict=True)
    ]
    x = first_alone = spline(torch.from_numpy(whole[0].data).to(device), first.grid, fine)
    fixed, region = whole[0], mask
    poses = [np.eye(4) for _ in scans]
    for n_round in range(1, N_ROUNDS + 1):
        for k in range(1, len(scans)):
            progress(f"registering, round {n_round}", k, len(scans) - 1)
            poses[k] = register_rigid(fixed, whole[k], region, poses[k], config.seed)
        stacks = [_whole_stack(scans[0], acquisitions[0], fine, x)]
        for scan, acquisition, pose in list(zip(scans, acquisitions, poses, strict=True))[1:]:
            stacks.append(_moved_stack(scan, acquisition, pose, (fixed.grid, region), x, fine))
        stacks[1:] = [_compared(stack, stacks[0], first_alone) for stack in stacks[1:]]
        if mask is None and n_round == 1:
            _check_one_head(stacks)
        stacks = [_with_noise(stack, config.noise) for stack in stacks]
        report = partial(progress, f"fusing, round {n_round}")
        few = None if thin is None else ROUGH_STEPS
        solution = tv_stacks(*whitened(stacks), x, 1.0, report, few)
        x = solution.x
        if mask is not None:
            region = _nearest(mask, first.grid, fine, np.eye(4))
        fixed = Volume(x.cpu().numpy(), fine)
    if thin is not None:
        stacks, solution = through_prior(stacks, x, thin, progress)
    return Fusion(fine, tuple(stacks), solution)


def _whole_stack(scan: Scan, acquisition: Acquisition, fine: Grid, x: torch.Tensor) -> Stack:
    """Take the first scan as it is."""
    operator = forward_operator(scan.volume.grid, fine, acquisition)
    grid = scan.volume.grid
    y = torch.from_numpy(_measured(scan.volume, acquisition)).to(x)
    return Stack(scan, grid, acquisition, operator, torch.ones_like(y), 0.0, 1.0, y, 0.0)


def _moved_stack(
    scan: Scan,
    acquisition: Acquisition,
    pose: Affine,
    region: tuple[Grid, Image | None],
    x: torch.Tensor,
    fine: Grid,
) -> Stack:
    """Place another scan and bring its intensities onto the scale of x."""
    volume, inside = scan.volume, torch.ones_like(x)
    mask_grid, mask = region
    if mask is not None:
        inside = torch.from_numpy(_nearest(mask, mask_grid, fine, np.eye(4))).to(x)
        # else it is known where slices lie in the whole
        if acquisition.interpolated is None and not acquisition.missing:
            volume = _cut(volume, _nearest(mask, mask_grid, volume.grid, pose), scan.name)
    own_fine = fine_grid(volume.grid, acquisition)
    A = forward_operator(volume.grid, own_fine, acquisition)
    operator = Composed(A, RigidResample(fine, own_fine, pose))
    coverage = operator(inside)
    y = torch.from_numpy(_measured(volume, acquisition)).to(x)
    seen = coverage >= LEAST_COVERAGE
    if int(seen.sum()) < LEAST_COMMON_VOXELS:
        raise _no_overlap(scan.name)
    gain, offset = _gain_and_offset(y[seen], operator(x)[seen])
    # where the stacks are compared: far corners of a turned scan say nothing
    moved = motion_mm(pose, volume.grid)
    scaled = gain * y + offset
    return Stack(scan, volume.grid, acquisition, operator, coverage, moved, gain, scaled, 0.0)


def _measured(volume: Volume, acquisition: Acquisition) -> Image:
    return measured(volume.data, acquisition.slice_axis, acquisition.missing)


def _compared(stack: Stack, first: Stack, first_alone: torch.Tensor) -> Stack:
    """Compare the details of a stack with those that the first scan, alone, lets expect."""
    likeness = detail_likeness(
        stack.operator(first_alone).cpu().numpy(),
        stack.y.cpu().numpy(),
        (stack.coverage >= LEAST_COVERAGE).cpu().numpy(),
        stack.scan.volume.grid.spacing_mm,
        max(stack.acquisition.thickness_mm, first.acquisition.thickness_mm),
    )
    return replace(stack, likeness=likeness)


def _check_one_head(stacks: Sequence[Stack]) -> None:
    """Refuse stacks of different heads, unless their names say that they are of one person.

    Raises:
        InputError: a stack shows another head than the first, or the same in another contrast.
    """
    names = [stack.scan.name for stack in stacks]
    labels = {label_in(name, SUBJECT) for name in names}
    if len(labels) == 1 and None not in labels:
        return
    for stack in stacks[1:]:
        if stack.likeness is not None and stack.likeness < LEAST_LIKENESS:
            message = (
                f"{stack.scan.name} does not show the head of {names[0]}, or not in its contrast: "
                f"their details correlate by {stack.likeness:.2f}, expected above "
                f"{LEAST_LIKENESS}; several scans of one run are fused into one image: to restore "
                "each by itself, run `inversesr batch FOLDER -o DIR`; for a head that moved "
                "between its scans, give --mask"
            )
            raise InputError(message)


def _nearest(mask: Image, mask_grid: Grid, grid: Grid, pose: Affine) -> Image:
    """Bring a mask onto another grid; pose is mask_world_from_grid_world."""
    mask_from_grid = np.linalg.inv(mask_grid.affine) @ pose @ grid.affine
    return np.asarray(affine_transform(mask, mask_from_grid, output_shape=grid.shape, order=0))


def _cut(volume: Volume, mask: Image, name: str) -> Volume:
    """Cut a scan to the box around a mask, with a margin."""
    box = []
    for axis, indices in enumerate(np.nonzero(mask)):
        if indices.size == 0:
            raise _no_overlap(name)
        margin = int(np.ceil(MARGIN_MM / volume.grid.spacing_mm[axis]))
        box.append(slice(max(0, int(indices.min()) - margin), int(indices.max()) + margin + 1))
    return volume.cropped((box[0], box[1], box[2]))


def _no_overlap(name: str) -> InputError:
    return InputError(
        f"{name} hardly overlaps the first scan: expected scans of one subject in one space"
    )


def _gain_and_offset(y: torch.Tensor, reference: torch.Tensor) -> tuple[float, float]:
    """Match mean and standard deviation: least squares would shrink a noisy scan."""
    y, reference = y.double(), reference.double()
    gain = float(reference.std() / y.std().clamp_min(1e-12))
    return gain, float(reference.mean()) - gain * float(y.mean())


def _with_noise(stack: Stack, stated: float | None) -> Stack:
    """Judge a stack's noise by its own voxels; what contradicts the others is for the penalty.

    Stated noise is that of the scan as it was read.
    """
    if stated is not None:
        sigma = stack.gain * stated
    else:
        nx, ny, nz = stack.y.shape
        volume = Volume(stack.y.cpu().numpy(), Grid((nx, ny, nz), np.eye(4)))
        sigma = estimate_noise(volume, stack.acquisition.slice_axis)
    floor = LEAST_NOISE_SHARE * float(stack.y.max() - stack.y.min())
    return replace(stack, sigma=max(sigma, floor))
