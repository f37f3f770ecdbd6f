"""What does not change in a series: the image behind all its volumes, and how the head moved.

    minimise over m      sum_t |y(t) - A W_t m|^2 / sigma^2 + |m - m0|^2 / r^2

A head that moves is seen by slices at many places, so m holds more than any one volume. m0 comes
from the solver of a volume, which is given the slices that m would show. Poses are found against
the first volume, and once more against m.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from inversesr.config import Config
from inversesr.measurements.motion import differentiated, find_pose, sight, track
from inversesr.measurements.series import SeriesModel
from inversesr.measurements.slices import Task
from inversesr.operators.conjugate_gradient import Effort
from inversesr.operators.proximal import project, prox
from inversesr.operators.slices_in_time import SlicesInTime, instants
from inversesr.parallel import each
from inversesr.solvers.protocol import Progress
from inversesr.volume import Affine
from inversesr.workflows.prepare import prepare_task

# More volumes than this say little more of what does not change.
MOST_VOLUMES = 32
ROUGH_EFFORT, EFFORT = Effort(3e-2, 4), Effort(1e-2, 8)
# Variance of a first guess about the truth, in variances of the noise of a slice.
ROUGH_TRUST, FINAL_TRUST = 4.0, 2.0
SIGMA_PER_MAD = 1.4826
HEAD_SHARE = 0.1
BRIGHT_QUANTILE = 0.98

Read = Callable[[int], torch.Tensor]


@dataclass(frozen=True, eq=False)
class Mean:
    """What does not change.

    Attributes:
        x: The image, shape model.wide.shape.
        model: The model of the series with the poses that were found.
        solver: Name of the solver that thinned its slices.
        notes: What a reader should know of that, in sentences.
    """

    x: torch.Tensor
    model: SeriesModel
    solver: str
    notes: tuple[str, ...]


def find_mean(
    read: Read, model: SeriesModel, sigma: float, config: Config, progress: Progress,
    *, is_moving: bool,
) -> Mean:  # fmt: skip
    """Find the image behind all volumes.

    Args:
        read: Returns a volume by its number.
        model: Model of the series; its poses are those that are known.
        sigma: Standard deviation of the noise of a slice.
        config: Choices by which one volume is restored.
        progress: Called with a phase, the steps done and their total.
        is_moving: Whether poses are to be found.
    """
    task = Task(read(0), model.scan_grid, model.acquisition, sigma)
    rough = task.x0
    if is_moving:
        model = _tracked(read, model, rough, progress)
        rough = _joint(read, model, widened(rough, model), sigma, ROUGH_TRUST, ROUGH_EFFORT)
        model = _refined(read, model, rough, progress)
    rough = _joint(read, model, widened(task.x0, model), sigma, ROUGH_TRUST, ROUGH_EFFORT)
    shown = model.A(narrowed(rough, model))
    few = min(model.n_volumes, MOST_VOLUMES)
    prepared = prepare_task(replace(task, y=shown, sigma=sigma / few**0.5), config)
    progress("thinning the mean", 0, 1)
    thin = prepared.solve(lambda _phase, _done, _total: None).x
    if prepared.solver.is_consistent:
        thin = project(model.A, thin, shown).x
    # what lies beyond the slices of the first volume is known from the others
    start = rough.clone()
    _inner(start, model).copy_(thin)
    x = _joint(read, model, start, sigma, FINAL_TRUST, EFFORT)
    progress("thinning the mean", 1, 1)
    return Mean(x, model, prepared.solver.name, prepared.notes)


def noise_of(read: Read, n_volumes: int) -> float:
    """Return the noise of a slice, from what changes from volume to volume in the head.

    Args:
        read: Returns a volume by its number.
        n_volumes: Number of volumes, at least 2.
    """
    found = []
    for t in range(0, n_volumes - 1, max(1, (n_volumes - 1) // 8)):
        y, following = read(t), read(t + 1)
        flat = y.flatten()
        bright = flat.kthvalue(max(1, round(BRIGHT_QUANTILE * flat.numel()))).values
        change = (following - y)[y > HEAD_SHARE * bright]
        found.append(SIGMA_PER_MAD * float((change - change.median()).abs().median()) / 2.0**0.5)
    return float(np.median(found))


def widened(x: torch.Tensor, model: SeriesModel) -> torch.Tensor:
    """Return an image on the fine grid with its outermost slices repeated beyond them."""
    axis, n = model.slice_axis, model.n_beyond
    first, last = x.narrow(axis, 0, 1), x.narrow(axis, x.shape[axis] - 1, 1)
    repeats = [n if a == axis else 1 for a in range(3)]
    return torch.cat([first.repeat(repeats), x, last.repeat(repeats)], dim=axis)


def narrowed(x: torch.Tensor, model: SeriesModel) -> torch.Tensor:
    """Return the part of images on the wide grid that lies on the fine one."""
    return _inner(x, model).contiguous()


def _inner(x: torch.Tensor, model: SeriesModel) -> torch.Tensor:
    axis = model.slice_axis
    return x.narrow(x.ndim - 3 + axis, model.n_beyond, model.fine.shape[axis])


def still_operator(model: SeriesModel, volumes: list[int]) -> SlicesInTime:
    """Return the operator of volumes of a head that changes in nothing but its pose."""
    moves = tuple(model.move(model.poses[t]) for t in volumes)
    positions = np.zeros((len(volumes), model.scan_grid.shape[model.slice_axis]))
    return SlicesInTime(model.A, moves, instants(positions, 1), model.slice_axis)


def _joint(
    read: Read,
    model: SeriesModel,
    start: torch.Tensor,
    sigma: float,
    trust: float,
    effort: Effort,
) -> torch.Tensor:
    """Return the image near to a first guess that explains the volumes."""
    n = min(model.n_volumes, MOST_VOLUMES)
    volumes = sorted({0, *np.linspace(0, model.n_volumes - 1, n).round().astype(int).tolist()})
    y = torch.stack([read(t) for t in volumes])
    s2 = max(sigma, 1e-6 * float(y.abs().max())) ** 2
    operator = still_operator(model, volumes)
    return prox(operator, start[None], y, trust * s2, s2, effort).x[0]


def _tracked(read: Read, model: SeriesModel, x: torch.Tensor, progress: Progress) -> SeriesModel:
    """Return the model with poses that are found one after the other, from the first volume."""
    head, n = differentiated(x, model.fine), model.n_volumes
    seen = sight(model.A, model.fine, model.slice_axis)

    def find(t: int, pose: Affine) -> Affine:
        progress("finding motion", t, 2 * n)
        return find_pose(head, seen, read(t), pose)

    return replace(model, poses=tuple(track(find, n, 0, np.eye(4))))


def _refined(read: Read, model: SeriesModel, x: torch.Tensor, progress: Progress) -> SeriesModel:
    """Return the model with poses that are refined against an image, about that of volume 0."""
    head, n = differentiated(x, model.wide), model.n_volumes
    seen = sight(model.A, model.fine, model.slice_axis)
    poses = each(lambda t: find_pose(head, seen, read(t), model.poses[t]), range(n))
    progress("finding motion", 2 * n, 2 * n)
    back = np.linalg.inv(poses[0])
    return replace(model, poses=tuple(back @ pose for pose in poses))
