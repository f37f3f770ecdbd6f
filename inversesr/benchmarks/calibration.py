"""Coverage of what a solver says of its errors: do its intervals hold the truth?

Samples of `diffusion` are errors, or the error that `unet` expects. Crops are degraded
along their sharpest axis to slices of whole voxels, so that images lie on the voxels of the truth
and nothing is interpolated to be errors.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from inversesr.acquisition.foreground import foreground
from inversesr.acquisition.geometry import Acquisition
from inversesr.acquisition.noise import estimate_noise
from inversesr.acquisition.simulation import WORLD_AXES, simulate, slice_axis_towards
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import AUTOMATIC, Config
from inversesr.errors import InputError
from inversesr.io.checks import stem
from inversesr.io.nifti import read_scan
from inversesr.measurements.consistency import make_consistent
from inversesr.measurements.slices import Task
from inversesr.protocols import Solution
from inversesr.solvers.registry import DEFAULT_NAME, entries, find
from inversesr.uncertainty.coverage import (
    FITTED_LEVEL,
    LEVELS,
    PredictedErrors,
    coverage,
    crps,
    errors_inside,
    fit_factor,
    width,
)
from inversesr.volume import Grid, Volume
from inversesr.workflows.prepare import prepare_task

# Crops are about this wide: samples of a whole head take many minutes.
CROP_VOXELS = 48
N_SAMPLES = 8
# Where labels of the cortex by area begin, and the least voxels of a region.
LEFT_CORTEX, RIGHT_CORTEX, LEAST_REGION = 1000, 2000, 500


@dataclass(frozen=True)
class Coverage:
    """One row: the share of voxels whose truth lies inside the interval of each level.

    Attributes:
        image: Name of the image, or "mean".
        thickness_mm: Slice thickness.
        gap_mm: Gap between slices.
        factor: Factor of the deviation that the samples came with, from the prior's card.
        covered: Level -> share of the truth inside, 0 to 1.
        needed_factor: Factor, on top of the card's, at which 90 % intervals hold 90 %.
        rms_error: Root mean square error of the image, in its own intensities.
        rms_sd: Root mean square of the deviation that the solver states.
        mean_width: Mean width of the 90 % interval, likewise.
        crps: Mean continuous ranked probability score, likewise.
        n_voxels: Voxels errors.
        regions: Label of a label map -> share of the truth inside 90 % intervals, 0 to 1.
    """

    image: str
    thickness_mm: float
    gap_mm: float
    factor: float
    covered: dict[str, float]
    needed_factor: float
    rms_error: float
    rms_sd: float
    mean_width: float
    crps: float
    n_voxels: int
    regions: dict[str, float] = field(default_factory=dict)


def measure_calibration(
    images: Iterable[Path],
    slices_mm: Sequence[tuple[float, float]],
    config: Config,
    progress: Callable[[Coverage], None] = lambda _row: None,
    crop: int = CROP_VOXELS,
    labels: Sequence[Path] = (),
) -> list[Coverage]:
    """Restore degraded crops and count how often the intervals hold the truth.

    Args:
        images: Thin-slice images.
        slices_mm: (thickness, gap) of slices, each rounded to whole voxels.
        config: Solver (`diffusion` unless another is named), prior, settings, seed, samples.
        progress: Called with each row as it is done.
        crop: Voxels along each side of a crop at the most.
        labels: Label maps of the images, one for each, on any grid; none for no regions.

    Returns:
        One row an image and thickness, and their mean at the end.

    Raises:
        InputError: fewer than two samples are asked for, an image is too small, or the solver
            says nothing of its errors.
    """
    solver = find(DEFAULT_NAME if config.solver == AUTOMATIC else config.solver)
    if not solver.calibration:
        able = ", ".join(entry.name for entry in entries() if entry.calibration)
        message = f"{solver.name} says nothing of its errors; expected one of {able}"
        raise InputError(message)
    if any(gap_mm < 0.0 for _, gap_mm in slices_mm):
        message = "the gap is negative; calibration needs slices that do not overlap"
        raise InputError(message)
    n_samples = config.samples or N_SAMPLES
    if n_samples < 2:
        message = "--samples is 1; intervals need at least 2: give more"
        raise InputError(message)
    config = replace(
        config, solver=solver.name, samples=n_samples if solver.draws_samples else None
    )
    rows: list[Coverage] = []
    cases: list[PredictedErrors] = []
    paths = list(images)
    if labels and len(labels) != len(paths):
        message = f"{len(labels)} label maps for {len(paths)} images: give one for each"
        raise InputError(message)
    for path, label_map in zip_longest(paths, labels):
        whole = read_scan(path).volume
        for wanted in slices_mm:
            truth = crop_for_slices(whole, sum(wanted), crop)
            row, errors = _measure(stem(path), truth, wanted, config)
            if label_map is not None:
                found = by_region(errors, truth, read_scan(label_map).volume)
                row = replace(row, regions=found)
            rows.append(row)
            cases.append(errors)
            progress(row)
    rows.append(_mean(rows, fit_factor(cases)))
    progress(rows[-1])
    return rows


def by_region(errors: PredictedErrors, truth: Volume, labels: Volume) -> dict[str, float]:
    """Return the share of the truth inside 90 % intervals in each region of a label map.

    Labels of the cortex by area (1000 and above left, 2000 and above right, as FreeSurfer has
    them) count as one region a side, and 0 is none.

    Args:
        errors: Errors within the foreground of the truth.
        truth: The truth.
        labels: Label map, on any grid.
    """
    fine = nearest(labels, truth.grid)[foreground(truth.data)]
    fine = np.where(fine >= RIGHT_CORTEX, 42, np.where(fine >= LEFT_CORTEX, 3, fine))
    is_inside = errors.ratio <= width(FITTED_LEVEL, errors.n_samples)
    return {
        str(label): float(np.mean(is_inside[fine == label]))
        for label in np.unique(fine).tolist()
        if label > 0 and int(np.sum(fine == label)) >= LEAST_REGION
    }


def nearest(labels: Volume, grid: Grid) -> NDArray[np.int64]:
    """Return a label map on another grid: the label of the nearest voxel, 0 outside."""
    voxels_from_voxels = np.linalg.inv(labels.grid.affine) @ grid.affine
    found = affine_transform(
        labels.data, voxels_from_voxels[:3, :3], voxels_from_voxels[:3, 3], grid.shape, order=0
    )
    return np.asarray(np.rint(found), dtype=np.int64)


def crop_for_slices(whole: Volume, wanted_mm: float, n: int = CROP_VOXELS) -> Volume:
    """Cut a box about the middle of the head whose side across the slices holds whole ones.

    Args:
        whole: Image.
        wanted_mm: Distance between slices.
        n: Voxels along each side at the most; fewer where the image ends.
    """
    axis, group = _slices(whole, wanted_mm)
    centre = np.argwhere(foreground(whole.data)).mean(axis=0)
    lengths = [min(n, size) for size in whole.grid.shape]
    lengths[axis] -= lengths[axis] % group
    starts = [
        int(np.clip(c - length / 2, 0, size - length))
        for c, length, size in zip(centre, lengths, whole.grid.shape, strict=True)
    ]
    box = [slice(s, s + length) for s, length in zip(starts, lengths, strict=True)]
    return whole.cropped((box[0], box[1], box[2]))


def _slices(truth: Volume, wanted_mm: float) -> tuple[int, int]:
    """Return the sharpest axis, and how many of its voxels lie from slice to slice."""
    axis = int(np.argmin(truth.grid.spacing_mm))
    return axis, max(2, round(wanted_mm / truth.grid.spacing_mm[axis]))


def _measure(
    name: str, truth: Volume, wanted_mm: tuple[float, float], config: Config
) -> tuple[Coverage, PredictedErrors]:
    axis, group = _slices(truth, sum(wanted_mm))
    unit = truth.grid.spacing_mm[axis]
    distance, thickness = group * unit, unit * min(max(1, round(wanted_mm[0] / unit)), group)
    direction = next(d for d in WORLD_AXES if slice_axis_towards(truth.grid, d) == axis)
    task_of = SimulateConfig(thickness_mm=thickness, gap_mm=distance - thickness, axis=direction)
    thick = simulate(truth, task_of)
    acquisition = Acquisition(axis, distance, thickness, "rect", truth.grid.spacing_mm)
    y = torch.from_numpy(thick.data)
    task = Task(y, thick.grid, acquisition, estimate_noise(thick, axis))
    solution = prepare_task(task, config).solve(lambda _phase, _done, _total: None)
    spread, n_samples = _spread(name, solution)
    x = make_consistent(task.A, solution.x, y, 0.0).numpy()
    sd = spread.numpy()
    errors = errors_inside(x, sd, truth.data, foreground(truth.data), n_samples)
    row = Coverage(
        image=name,
        thickness_mm=thickness,
        gap_mm=distance - thickness,
        factor=float(solution.facts.get(find(config.solver).calibration, 1.0)),
        covered={f"{level:.0%}": coverage(errors, level) for level in LEVELS},
        needed_factor=fit_factor([errors]),
        rms_error=float(np.sqrt(np.mean(np.square(errors.error, dtype=np.float64)))),
        rms_sd=float(np.sqrt(np.mean(np.square(errors.sd, dtype=np.float64)))),
        mean_width=2.0 * width(FITTED_LEVEL, n_samples) * float(errors.sd.mean(dtype=np.float64)),
        crps=crps(errors),
        n_voxels=errors.error.size,
    )
    return row, errors


def _spread(name: str, solution: Solution) -> tuple[torch.Tensor, float]:
    """Return the deviation of a solution, and how many samples it comes from."""
    if solution.samples is not None:
        return solution.samples.std(dim=0), len(solution.samples)
    if solution.sd is not None:
        return solution.sd, math.inf
    message = f"{name}: nothing is known of the errors. " + " ".join(solution.notes)
    raise InputError(message)


def _mean(rows: Sequence[Coverage], needed_factor: float) -> Coverage:
    """Return the mean of all rows, with the one factor that suits them together."""

    def mean(values: Iterable[float]) -> float:
        return float(np.mean(list(values)))

    return Coverage(
        image="mean",
        thickness_mm=mean(r.thickness_mm for r in rows),
        gap_mm=mean(r.gap_mm for r in rows),
        factor=mean(r.factor for r in rows),
        covered={level: mean(r.covered[level] for r in rows) for level in rows[0].covered},
        needed_factor=needed_factor,
        rms_error=mean(r.rms_error for r in rows),
        rms_sd=mean(r.rms_sd for r in rows),
        mean_width=mean(r.mean_width for r in rows),
        crps=mean(r.crps for r in rows),
        n_voxels=sum(r.n_voxels for r in rows),
    )
