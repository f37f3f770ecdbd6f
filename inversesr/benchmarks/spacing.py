"""Results finer than 1 mm: restored there at once, or at 1 mm and interpolated?

A truth of fine voxels is cut into thick slices, and may be made coarser within them too. The same
solver then restores the voxels of the truth, or voxels of 1 mm that a cubic spline brings onto
them; interpolation of the slices alone stands beside.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from inversesr.acquisition.simulation import simulate, slice_axis_towards
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.comparison import Setup, blank_row, read_truth
from inversesr.config import DEFAULT_SPACING_MM, Config
from inversesr.errors import InputError
from inversesr.evaluation.scores import score_volume
from inversesr.io.checks import stem
from inversesr.io.nifti import Scan
from inversesr.solvers.registry import BASELINE_NAME
from inversesr.volume import Volume
from inversesr.workflows.restore import restore

INTERPOLATED, DIRECT, COARSE = "interpolated", "restored there", "restored at 1 mm, then spline"

# Voxels that are longer than this share of 1 mm are not refined any more.
FINE_SHARE = 0.95


@dataclass(frozen=True)
class Voxels:
    """What scan and result are made of.

    Attributes:
        within: Voxels of the truth that are averaged along each axis within the slices.
        thin_mm: Distance between thin slices that are restored; None for the truth's.

    Raises:
        InputError: thin slices are not finer than 1 mm.
    """

    within: int = 1
    thin_mm: float | None = None

    def __post_init__(self) -> None:
        if self.thin_mm is not None:
            check_fine(self.thin_mm, "thin slices are")


@dataclass(frozen=True)
class SpacingRow:
    """One way to fine voxels.

    Attributes:
        image: Name of the truth.
        task: The degradation in words.
        way: "interpolated", "restored there" or "restored at 1 mm, then spline".
        solver: Solver that was used.
        spacing_mm: Voxel sizes that it restored, in words.
        psnr_db: Against the truth on its own voxels, inside its foreground.
        ssim: Likewise.
    """

    image: str
    task: str
    way: str
    solver: str
    spacing_mm: str
    psnr_db: float
    ssim: float


def measure_spacing(
    truths: Iterable[Path],
    tasks: Sequence[SimulateConfig],
    solvers: Sequence[str],
    progress: Callable[[SpacingRow], None] = lambda _row: None,
    setup: Setup | None = None,
    voxels: Voxels | None = None,
) -> list[SpacingRow]:
    """Degrade fine images, and reach their voxels in three ways.

    Args:
        truths: Images of voxels below 1 mm across the slices.
        tasks: How each is degraded.
        solvers: Names of solvers.
        progress: Called with each row as it is done.
        setup: What all solvers share; None for the defaults.
        voxels: What scan and result are made of; None for slices of the truth's voxels.

    Raises:
        InputError: a truth is not finer than 1 mm across the slices, or cannot be degraded.
    """
    setup, voxels, rows = setup or Setup(), voxels or Voxels(), []
    within = voxels.within
    for path in truths:
        for task in tasks:
            truth = read_truth(path, task.axis, setup.crop).volume
            axis = slice_axis_towards(truth.grid, task.axis)
            check_fine(truth.grid.spacing_mm[axis], f"voxels of {path.name} are")
            truth = whole_groups(truth, axis, within)
            scan = Scan.made_here(simulate(coarser(truth, axis, within), task))
            words = blank_row(stem(path), "", task).degradation
            words += f", {within} x {within} voxels within" if within > 1 else ""
            for way, config in _ways(setup, solvers, task, (truth, voxels)):
                result = restore([scan], config)
                spacing = " x ".join(f"{mm:.3g}" for mm in result.volume.grid.spacing_mm)
                scores = score_volume(result.volume, truth)
                found = (result.solver_used, spacing, scores.psnr_db, scores.ssim)
                rows.append(SpacingRow(stem(path), words, way, *found))
                progress(rows[-1])
    return rows


def _ways(
    setup: Setup, solvers: Sequence[str], task: SimulateConfig, wanted: tuple[Volume, Voxels]
) -> Iterator[tuple[str, Config]]:
    grid, thin_mm = wanted[0].grid, wanted[1].thin_mm
    sizes, axis = list(grid.spacing_mm), slice_axis_towards(grid, task.axis)
    sizes[axis] = thin_mm or sizes[axis]
    there = replace(setup.config(BASELINE_NAME, task, grid), settings=())
    there = replace(there, spacing_mm=tuple(sizes))
    yield INTERPOLATED, there
    for solver in solvers:
        direct = replace(there, solver=solver, settings=setup.settings)
        yield DIRECT, direct
        yield COARSE, replace(direct, spacing_mm=DEFAULT_SPACING_MM)


def check_fine(mm: float, what: str) -> None:
    """Refuse voxels that are not finer than those that restoring at 1 mm would give.

    Raises:
        InputError: they are not.
    """
    if mm > FINE_SHARE * DEFAULT_SPACING_MM:
        most = FINE_SHARE * DEFAULT_SPACING_MM
        message = (
            f"{what} {mm:.3g} mm long across the slices; expected at most {most:g} mm, or there "
            "is nothing to compare"
        )
        raise InputError(message)


def whole_groups(truth: Volume, axis: int, within: int) -> Volume:
    """Cut off the last voxels within the slices that make no whole group.

    Args:
        truth: Image.
        axis: Axis across the slices.
        within: Voxels of a group along each of the other two.
    """
    sizes = [n if a == axis else n - n % within for a, n in enumerate(truth.grid.shape)]
    return truth.cropped((slice(0, sizes[0]), slice(0, sizes[1]), slice(0, sizes[2])))


def coarser(truth: Volume, axis: int, within: int) -> Volume:
    """Average groups of voxels within the slices.

    Args:
        truth: Image of whole groups.
        axis: Axis across the slices.
        within: Voxels of a group along each of the other two.
    """
    if within == 1:
        return truth
    factors = [1 if a == axis else within for a in range(3)]
    x, y, z = (n // f for n, f in zip(truth.grid.shape, factors, strict=True))
    parts = truth.data.reshape(x, factors[0], y, factors[1], z, factors[2])
    spacing = tuple(mm * f for mm, f in zip(truth.grid.spacing_mm, factors, strict=True))
    data = parts.mean(axis=(1, 3, 5), dtype=np.float64).astype(np.float32)
    return Volume(data, truth.grid.respaced((x, y, z), spacing))
