"""From thick diffusion-weighted slices to thin ones, in memory; `dwi` does it from files to files.

Volumes share one geometry. Each is restored by `dwi.joint`, then made exactly consistent with its
own slices, so that what was measured is in the result, volume by volume.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from inversesr.acquisition.geometry import Acquisition, describe_acquisition
from inversesr.acquisition.noise import estimate_noise
from inversesr.config import Config
from inversesr.dwi.config import DwiConfig
from inversesr.dwi.joint import JointOptions, Restorer, Slicing, restore_details
from inversesr.errors import InputError
from inversesr.io.gradients import Gradients, Series
from inversesr.measurements.consistency import make_consistent
from inversesr.measurements.slices import Task
from inversesr.operators.slice_profile import slice_matrix
from inversesr.priors.installed import OpenPrior, open_prior
from inversesr.volume import Grid, Volume
from inversesr.workflows.prepare import prepare_task

Image4 = NDArray[np.float32]
Progress = Callable[[str, int, int], None]
# Guides are restored in one pass of the network.
OF_A_GUIDE = ("solver.adapt_steps=0", "solver.expected_error=false")


def silent(_phase: str, _done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, eq=False)
class Restored:
    """A series with thin slices.

    Attributes:
        data: Volumes, shape (V, X, Y, Z), in the scan's intensities.
        grid: Their voxels.
        acquisition: How the scan was taken.
        sigma: Standard deviation of its noise.
        largest_share: Largest difference of any volume from its slices, as a share of its range.
        warnings: What a reader should know, in sentences.
    """

    data: Image4
    grid: Grid
    acquisition: Acquisition
    sigma: float
    largest_share: float
    warnings: tuple[str, ...] = ()


def describe_series(series: Series, config: DwiConfig) -> tuple[Acquisition, int]:
    """Return how a series was taken, and into how many thin slices each slice is parted.

    Thin slices are as far apart as voxels within a slice, unless a spacing was asked for; a whole
    number of them makes a slice.

    Raises:
        InputError: there is nothing to refine, or slices are not as they were measured.
    """
    scan = series.scan
    wanted = config.spacing_mm
    within = sorted(scan.volume.grid.spacing_mm)[:2]
    plain = Config(
        spacing_mm=min(within) if wanted is None else wanted,
        thickness_mm=config.thickness_mm,
        gap_mm=config.gap_mm,
        profile=config.profile,
    )
    found = describe_acquisition(scan, plain)
    axis = found.slice_axis
    if found.interpolated is not None or found.missing:
        message = (
            f"the slices of {scan.name} are not as they were measured (interpolated, or some are "
            "missing); expected those of the scanner: convert the series again without resampling"
        )
        raise InputError(message)
    target = float(np.mean(within)) if wanted is None else wanted
    n_thin = round(found.slice_spacing_mm / target)
    if n_thin < 2:
        message = (
            f"slices of {scan.name} lie {found.slice_spacing_mm:.4g} mm apart and thin ones would "
            f"{target:.4g} mm: there is nothing to refine; give a finer --spacing"
        )
        raise InputError(message)
    fine = list(scan.volume.grid.spacing_mm)
    fine[axis] = found.slice_spacing_mm / n_thin
    return replace(found, fine_spacing_mm=(fine[0], fine[1], fine[2])), n_thin


def restore_series(
    series: Series, gradients: Gradients, config: DwiConfig, progress: Progress = silent
) -> Restored:
    """Restore the thin slices of all volumes of a series.

    Args:
        series: The series.
        gradients: Weighting of each volume.
        config: Choices of the run.
        progress: Called with a phase, the steps done and their total.

    Raises:
        InputError: there is nothing to refine.
    """
    acquisition, n_thin = describe_series(series, config)
    scan, axis = series.scan, acquisition.slice_axis
    sigma = config.noise if config.noise is not None else noise_of(series, gradients, axis)
    tasks = [Task(torch.from_numpy(v), scan.volume.grid, acquisition, sigma) for v in series.data]
    x0 = np.stack([_spline(task) for task in tasks])
    turned = np.ascontiguousarray(np.moveaxis(series.data, axis + 1, 3))
    share = acquisition.thickness_mm / acquisition.fine_spacing_mm[axis]
    edges = np.arange(3 * n_thin + 1, dtype=np.float64) - 1.5 * n_thin
    profile = slice_matrix(edges, np.zeros(1), share, acquisition.profile)
    details = restore_details(
        turned,
        gradients.is_b0,
        Slicing(n_thin, profile[0]),
        default_restorer(n_thin, share, config),
        JointOptions(seed=config.seed),
        progress,
    )
    found = not_negative(turned[..., None] + details, turned)
    joined = np.moveaxis(found.reshape(*found.shape[:3], -1), 3, axis + 1)
    # where nothing was learned, air and the rim of the head, slices are interpolated
    is_known = np.moveaxis((details != 0.0).reshape(*found.shape[:3], -1), 3, axis + 1)
    start = np.where(is_known, joined, x0)
    data, largest = _consistent(start, tasks)
    return Restored(data, tasks[0].fine, acquisition, sigma, largest, acquisition.warnings)


def noise_of(series: Series, gradients: Gradients, slice_axis: int) -> float:
    """Return the noise of a series: the median of what its weighted volumes show.

    Those without weighting are bright, and their structure passes for noise.
    """
    weighted = series.data[~gradients.is_b0]
    grid = series.scan.volume.grid
    found = [estimate_noise(Volume(v, grid), slice_axis) for v in weighted]
    return float(np.median(found))


def not_negative(thin: Image4, thick: Image4) -> Image4:
    """Return thin slices whose details are weakened where they would go below zero.

    The mean of the thin slices of a slice stays what it is.

    Args:
        thin: Thin slices, shape (V, X, Y, n, k).
        thick: The slices that they lie in, shape (V, X, Y, n).
    """
    details = thin - thick[..., None]
    deepest = np.maximum(-details.min(axis=-1), 1e-30)
    allowed = np.clip(np.maximum(thick, 0.0) / deepest, 0.0, 1.0)
    return np.asarray(thick[..., None] + details * allowed[..., None], dtype=np.float32)


def default_restorer(n_thin: int, share: float, config: DwiConfig) -> Restorer:
    """Return the default solver of single scans, for guides.

    Args:
        n_thin: Thin slices a slice.
        share: Thickness of a slice, in thin slices.
        config: Choices of the run.
    """
    chosen = Config(prior=config.prior, settings=OF_A_GUIDE, seed=config.seed)
    opened: list[OpenPrior] = []

    def restorer(thick: NDArray[np.float32]) -> NDArray[np.float32]:
        x, y, n = thick.shape
        grid = Grid((x, y, n), np.diag([1.0, 1.0, float(n_thin), 1.0]))
        acquisition = Acquisition(2, float(n_thin), share, config.profile, (1.0, 1.0, 1.0))
        volume = np.ascontiguousarray(thick)
        sigma = estimate_noise(Volume(volume, grid), 2)
        task = Task(torch.from_numpy(volume), grid, acquisition, sigma)
        if not opened:
            opened.append(open_prior(config.prior))
        image = prepare_task(task, chosen, opened[0]).solve(silent).x
        thin = make_consistent(task.A, image.to(task.y), task.y, 0.0).numpy()
        return np.asarray(thin.reshape(x, y, n, n_thin) - thick[..., None], dtype=np.float32)

    return restorer


def _spline(task: Task) -> NDArray[np.float32]:
    return np.asarray(task.x0.numpy(), dtype=np.float32)


def _consistent(start: Image4, tasks: list[Task]) -> tuple[Image4, float]:
    """Return volumes that reproduce their slices, and how far the farthest is from them."""
    data, largest = np.empty_like(start), 0.0
    for v, task in enumerate(tasks):
        x = make_consistent(task.A, torch.from_numpy(start[v]), task.y, 0.0)
        data[v] = x.numpy()
        apart = float((task.A(x) - task.y).abs().max())
        largest = max(largest, apart / max(float(task.y.max() - task.y.min()), 1e-30))
    return data, largest
