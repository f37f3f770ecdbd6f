"""Generates slices that are missing, by the network that thins thick ones.

To the network a hole of m slices is what lies between slices m + 1 times as far apart:

    x_r = N(slices r, r + m + 1, r + 2 (m + 1), ...),      generated slices = A x_r

so it is given every (m + 1)-th slice, those on both sides of the hole among them. What it finds
there, seen through the scanner's slices, takes the place of the missing ones, and the whole stack
is restored as any other. The result need not agree with what was generated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from inversesr.acquisition.geometry import Acquisition, forward_operator
from inversesr.acquisition.missing import generated_share
from inversesr.measurements.slices import Task
from inversesr.operators.proximal import project
from inversesr.volume import Grid

# Slices of the sparser stack that are taken along on each side of a hole.
BESIDE = 4

# Returns the image of a scan without holes, on its fine grid.
Restore = Callable[[Task], torch.Tensor]


@dataclass(frozen=True)
class Holes:
    """Holes of one length that lie between slices of one sparser stack.

    Attributes:
        stride: Every so manieth slice belongs to the sparser stack.
        slices: Missing slices, in order.
        kept: Slices of the sparser stack near them, in order.
    """

    stride: int
    slices: tuple[int, ...]
    kept: tuple[int, ...]


def find_holes(missing: Sequence[int], n_slices: int) -> list[Holes]:
    """Return the holes between measured slices, by their lengths and places.

    Missing slices at the ends of a stack lie between no slices and are left out.

    Args:
        missing: Missing slices, in order.
        n_slices: Number of slices of the stack.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    lost = set(missing)
    for first in missing:
        if first - 1 in lost or first == 0:
            continue
        length = 1
        while first + length in lost:
            length += 1
        if first + length < n_slices:
            key = (length + 1, (first - 1) % (length + 1))
            groups.setdefault(key, []).extend(range(first, first + length))
    found = []
    for (stride, offset), slices in groups.items():
        low, high = slices[0] - BESIDE * stride, slices[-1] + BESIDE * stride
        kept = [k for k in range(offset, n_slices, stride) if low <= k <= high]
        found.append(Holes(stride, tuple(slices), tuple(kept)))
    return found


def holes_of(task: Task) -> list[tuple[Holes, torch.Tensor]]:
    """Return the holes of a scan, and which share of each fine voxel along the slices is in one.

    Args:
        task: The scan.
    """
    axis = task.slice_axis
    n_slices, n_fine = task.scan_grid.shape[axis], task.fine.shape[axis]
    found = find_holes(task.acquisition.missing, n_slices)
    return [
        (holes, torch.from_numpy(generated_share(n_slices, n_fine, holes.slices)))
        for holes in found
    ]


def sparser(task: Task, seen: torch.Tensor, holes: Holes) -> Task:
    """Return the stack of every so manieth slice about some holes, as a scan of its own.

    Args:
        task: The scan.
        seen: All its slices, missing ones filled somehow, shape scan_grid.shape.
        holes: The holes.
    """
    axis, acquisition = task.slice_axis, task.acquisition
    grid = _cut(task.scan_grid, axis, holes.kept[0], len(holes.kept), holes.stride)
    y = seen.index_select(axis, torch.tensor(holes.kept, device=seen.device))
    found = replace(
        acquisition, slice_spacing_mm=holes.stride * acquisition.slice_spacing_mm, missing=()
    )
    return Task(y.contiguous(), grid, found, task.sigma)


def slices_of(
    sparse: Task, x: torch.Tensor, holes: Holes, acquisition: Acquisition
) -> list[torch.Tensor]:
    """Return the missing slices as the scanner would have seen them in an image.

    Args:
        sparse: The sparser stack.
        x: An image on its fine grid.
        holes: The holes.
        acquisition: How the scan itself was taken.
    """
    axis, n = sparse.slice_axis, len(holes.kept)
    n_all = (n - 1) * holes.stride + 1
    dense = _cut(sparse.scan_grid, axis, 0, n_all, 1.0 / holes.stride)
    A = forward_operator(dense, sparse.fine, replace(acquisition, missing=()))
    y = A(x)
    return [y.select(axis, k - holes.kept[0]) for k in holes.slices]


def completed(task: Task, restored: Restore) -> Task:
    """Return a scan whose missing slices were generated, as if it were whole.

    Args:
        task: The scan.
        restored: Returns the image of a scan without holes.
    """
    axis, acquisition = task.slice_axis, task.acquisition
    seen = task.seen
    generated = seen.clone()
    for holes in find_holes(acquisition.missing, task.scan_grid.shape[axis]):
        sparse = sparser(task, seen, holes)
        x = project(sparse.A, restored(sparse), sparse.y).x
        for k, y in zip(holes.slices, slices_of(sparse, x, holes, acquisition), strict=True):
            generated.select(axis, k).copy_(y)
    return replace(task, y=generated, acquisition=replace(acquisition, missing=()))


def _cut(grid: Grid, axis: int, first: int, n: int, stride: float) -> Grid:
    """Return the grid of every stride-th slice of a grid, n of them from the first one on."""
    affine = grid.affine.copy()
    affine[:3, 3] += first * affine[:3, axis]
    affine[:3, axis] *= stride
    shape = list(grid.shape)
    shape[axis] = n
    return Grid((shape[0], shape[1], shape[2]), np.asarray(affine))
