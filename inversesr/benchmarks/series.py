"""What a series gains: space, time, tSNR and activations, where the truth is known.

Thick series are simulated from a head. The baseline is what people do: each volume by splines,
realigned with the same poses, slices interpolated to the times of frames by cubic splines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import affine_transform

from inversesr.acquisition.foreground import BRIGHT_PERCENTILE
from inversesr.acquisition.geometry import Acquisition
from inversesr.acquisition.series_simulation import SeriesTask, Simulated, simulate_series
from inversesr.evaluation.metrics import psnr
from inversesr.evaluation.temporal import sensitivity, t_map, tsnr
from inversesr.io.nifti import read_scan
from inversesr.measurements.series import SeriesModel
from inversesr.operators.interpolation import spline
from inversesr.solvers.protocol import Progress
from inversesr.volume import Affine, Grid, Image, Volume
from inversesr.workflows.series.config import SeriesConfig
from inversesr.workflows.series.mean import find_mean, noise_of
from inversesr.workflows.series.motion import find_motion
from inversesr.workflows.series.window import at_frames, restore_window

HEAD_SHARE = 0.1
FALSE_POSITIVES = 0.01
# Fine slices at either end that are not judged: the head moves out of them.
MARGIN = 2


@dataclass(frozen=True)
class SeriesRow:
    """Figures of one simulated series; `spline_` are those of the baseline.

    Attributes:
        image: Name of the head.
        thickness_mm: Slice thickness.
        spline_space_db: PSNR of the baseline at the times of volumes.
        space_db: The same of the restored series.
        spline_time_db: PSNR halfway between volumes.
        time_db: The same of the restored series.
        spline_change_db: PSNR of what changes, halfway between volumes, without the mean.
        change_db: The same of the restored series.
        thick_tsnr: Median tSNR of the thick series in the head.
        tsnr: The same of the restored series, at the times of volumes.
        thick_found: Share of active voxels found in the thick series, realigned, at 1 % of false
            positives.
        found: The same in the restored series.
    """

    image: str
    thickness_mm: float
    spline_space_db: float
    space_db: float
    spline_time_db: float
    time_db: float
    spline_change_db: float
    change_db: float
    thick_tsnr: float
    tsnr: float
    thick_found: float
    found: float


def measure_series(
    heads: Sequence[Path], thicknesses_mm: Sequence[float], task: SeriesTask,
    choices: SeriesConfig, crop: int, progress: Progress,
) -> list[SeriesRow]:  # fmt: skip
    """Measure what the restoration of series gains.

    Args:
        heads: Thin-slice images of heads.
        thicknesses_mm: Slice thicknesses.
        task: What series are made, but for the thickness.
        choices: How they are restored.
        crop: Side of the part of a head that is used, in its voxels.
        progress: Called with a phase, the steps done and their total.
    """
    rows = []
    for path in heads:
        head = upright(read_scan(path).volume, crop)
        for thickness in thicknesses_mm:
            made = simulate_series(head, replace(task, thickness_mm=thickness))
            rows.append(score(path.name, made, choices, progress))
    return rows


def upright(head: Volume, crop: int) -> Volume:
    """Return the middle of a head, its last axis along the body.

    Args:
        head: The head.
        crop: Side of the part, in voxels.
    """
    order = list(head.grid.ras_order)
    data = np.ascontiguousarray(head.data.transpose(order))
    affine = head.grid.affine.copy()
    affine[:, :3] = affine[:, order]
    x, y, z = data.shape
    middle = [int(i.mean()) for i in np.nonzero(data > data.mean())]
    starts = [max(0, m - crop // 2) for m in middle]
    a, b, c = (slice(start, start + crop) for start in starts)
    return Volume(data, Grid((x, y, z), affine)).cropped((a, b, c))


def score(name: str, made: Simulated, choices: SeriesConfig, progress: Progress) -> SeriesRow:
    """Restore a simulated series at half its repetition time and compare it with the truth."""
    task, y = made.task, torch.from_numpy(made.y)
    n = task.n_volumes
    acquisition = Acquisition(
        2, task.thickness_mm, task.thickness_mm, "rect", made.fine.spacing_mm
    )
    model = SeriesModel(
        made.grid, acquisition, made.slice_times_s, task.tr_s, task.tr_s / 2.0, (np.eye(4),) * n
    )
    sigma = noise_of(lambda t: y[t], n)
    config = choices.of_a_volume(task.voxel_mm)
    mean = find_mean(lambda t: y[t], model, sigma, config, progress, is_moving=True)
    whole = (range(n), range(n))
    how = (choices.temporal, choices.consistency)
    motion = None if choices.keep_motion else find_motion(lambda t: y[t], mean.model, mean.x)
    window = restore_window(mean.model, mean.x, y, whole, how, motion=motion)
    x = window.frames.numpy()
    usual = baseline(y, mean.model)
    truth = np.stack([made.truth(j * task.tr_s / 2.0) for j in range(2 * n)])
    inside = made.parts[0] > HEAD_SHARE * made.parts[0].max()
    inside[..., :MARGIN] = inside[..., -MARGIN:] = False
    width = float(np.percentile(made.parts[0][inside], BRIGHT_PERCENTILE))

    def quality(image: Image, of: Image) -> float:
        return psnr(image, of, np.broadcast_to(inside, of.shape), width)

    def change(image: Image) -> Image:
        return np.asarray(image - image.mean(axis=0))

    is_active = made.is_active & inside
    is_silent = inside & (made.parts[1] < 0.05 * made.parts[1].max())
    response = np.array([made.phases.response(t * task.tr_s) for t in range(n)])
    thick = usual[::2]
    return SeriesRow(
        name,
        task.thickness_mm,
        quality(usual[::2], truth[::2]),
        quality(x[::2], truth[::2]),
        quality(usual[1::2], truth[1::2]),
        quality(x[1::2], truth[1::2]),
        quality(change(usual)[1::2], change(truth)[1::2]),
        quality(change(x)[1::2], change(truth)[1::2]),
        float(np.median(tsnr(thick)[inside])),
        float(np.median(tsnr(x[::2])[inside])),
        sensitivity(t_map(thick, response), is_active, is_silent, FALSE_POSITIVES),
        sensitivity(t_map(x[::2], response), is_active, is_silent, FALSE_POSITIVES),
    )


def baseline(y: torch.Tensor, model: SeriesModel) -> Image:
    """Return frames as they are made today: slice timing, splines, and realignment by splines.

    Args:
        y: The series.
        model: Its model, with the poses to be used.
    """
    frames = range(model.n_frames)
    timed = at_frames(y, model, range(model.n_volumes), frames)
    found = []
    for j, volume in enumerate(timed):
        thin = spline(volume, model.scan_grid, model.fine).numpy()
        found.append(_realigned(thin, model.fine, model.poses[model.volume_at(j)]))
    return np.stack(found)


def _realigned(x: Image, grid: Grid, pose: Affine) -> Image:
    own_from_wanted = np.linalg.inv(grid.affine) @ np.linalg.inv(pose) @ grid.affine
    return np.asarray(affine_transform(x, own_from_wanted, order=3, mode="nearest"))
