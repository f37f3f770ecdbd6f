"""Some volumes of a series: what changes in them, in space and time.

1. space: what the mean does not explain is left, slice by slice: y(t) - A W_t m;
2. time: noise is removed from it by the temporal prior, and its course is interpolated from the
   time of each slice to that of the frames;
3. space: it is interpolated to thin slices, moved back and added to m; then the frames are made
   consistent with every slice at its time.
"""

from dataclasses import dataclass

import numpy as np
import torch

from inversesr.measurements.series import SeriesModel
from inversesr.operators.conjugate_gradient import Effort
from inversesr.operators.interpolation import spline_operator
from inversesr.operators.proximal import project, prox
from inversesr.operators.resample import RigidResample
from inversesr.operators.slice_interpolation import interpolation_matrix
from inversesr.parallel import each
from inversesr.solvers.temporal.low_rank import low_rank
from inversesr.solvers.temporal.variation import temporal_noise, temporal_variation
from inversesr.workflows.series.mean import narrowed, still_operator
from inversesr.workflows.series.motion import Motion

EFFORT = Effort(5e-2, 4)
EXACT_EFFORT = Effort(1e-4, 60)
# Weight of the variation in time, in standard deviations of the noise.
VARIATION_WEIGHT = 1.0


@dataclass(frozen=True, eq=False)
class Window:
    """What one window gave.

    Attributes:
        frames: Images of the frames, shape (n, *model.fine.shape).
        misfit: Root mean square of what the frames do not explain of the slices.
        noise: The same that noise lets expect.
        status: How consistency ended.
    """

    frames: torch.Tensor
    misfit: float
    noise: float
    status: str


def restore_window(
    model: SeriesModel, mean: torch.Tensor, y: torch.Tensor, which: tuple[range, range],
    choices: tuple[str, str],
    *,
    motion: Motion | None = None,
) -> Window:  # fmt: skip
    """Restore some volumes.

    Args:
        model: Model of the series.
        mean: What does not change, shape model.wide.shape.
        y: The volumes that are looked at, shape (n, *model.scan_grid.shape).
        which: Volumes that are restored, and those that are looked at.
        choices: Temporal prior and data consistency.
        motion: What follows the motion of the head and is no change; None for nothing. Exact
            consistency brings it back in any case.
    """
    core, looked = which
    temporal, consistency = choices
    left = y - still_operator(model, list(looked))(mean[None])
    if motion is not None and consistency != "exact":
        apart = motion.of(looked).to(y)
        y, left = y - apart, left - apart
    change, sigma = changes(left, temporal, model.slice_axis)
    frames = model.frames_of(looked)
    x = mean + _lifted(model, at_frames(change, model, looked, frames), frames)
    operator = model.operator(looked, frames)
    status = "off"
    if consistency == "exact":
        found = project(operator, x, y, EXACT_EFFORT)
        x, status = found.x, found.status
    elif consistency != "off":
        # what noise does not explain of the misfit is what the frames may still be wrong by
        error2 = float((operator(x) - y).square().mean()) - sigma**2
        status = "within the noise"
        if error2 > 0.0 and sigma > 0.0:
            found = prox(operator, x, y, error2, sigma**2, EFFORT)
            x, status = found.x, found.status
    misfit = float((operator(x) - y).square().mean().sqrt())
    wanted = model.frames_of(core)
    kept = x[wanted.start - frames.start : wanted.stop - frames.start]
    return Window(narrowed(kept, model), misfit, sigma, status)


def changes(left: torch.Tensor, temporal: str, slice_axis: int) -> tuple[torch.Tensor, float]:
    """Return what changes in time without most of its noise, and the noise (root mean square).

    Args:
        left: Series without its mean, shape (n, X, Y, Z).
        temporal: Name of the temporal prior.
        slice_axis: Axis of a volume across the slices.
    """
    sigma = temporal_noise(left) if len(left) > 1 else torch.zeros_like(left[0])
    noise = float(sigma.square().mean().sqrt())
    if temporal == "none" or len(left) < 2:
        return left, noise
    if temporal == "tv":
        return temporal_variation(left, VARIATION_WEIGHT * sigma), noise
    found = low_rank(left, slice_axis)
    return found.x, float(found.sigma.square().mean().sqrt())


def at_frames(
    change: torch.Tensor, model: SeriesModel, volumes: range, frames: range
) -> torch.Tensor:
    """Interpolate a series of slices, each measured at its own time, to frames.

    By cubic splines through the times of a slice; before the first and after the last one its
    value is kept.

    Args:
        change: The slices, shape (len(volumes), *model.scan_grid.shape).
        model: Model of the series.
        volumes: The volumes.
        frames: The frames.
    """
    if len(change) < 2:
        return change.expand(len(frames), -1, -1, -1)
    axis = model.slice_axis + 1
    when = np.array(frames) * model.frame_s / model.tr_s - volumes.start
    slices = []
    for k, tau in enumerate(model.slice_times_s):
        matrix = interpolation_matrix("cubic", when - tau / model.tr_s, len(volumes))
        weights = torch.from_numpy(matrix).to(change)
        slices.append(torch.tensordot(weights, change.select(axis, k), dims=1))
    return torch.stack(slices, dim=axis)


def _lifted(model: SeriesModel, change: torch.Tensor, frames: range) -> torch.Tensor:
    """Return thin slices of changes, in the pose of the image."""
    thin = spline_operator(model.scan_grid, model.fine)

    def lift(n: int) -> torch.Tensor:
        pose = model.poses[model.volume_at(frames[n])]
        own = thin(change[n])
        if model.move(pose) is None:
            return own
        return RigidResample(model.fine, model.wide, np.asarray(np.linalg.inv(pose), np.float64))(
            own
        )

    return torch.stack(each(lift, range(len(frames))))
