"""The standard set of tasks that solvers are compared on, and its table: one row a task.

Slices of 4 mm, touching, box-shaped, along S and without noise; from there one thing changes at a
time, as every combination would take days. Two hard cases change several at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.rows import Row

# thickness | gap in mm: touching slices, gaps as protocols have them, and single thin slices
SLICES_MM = ((3.0, 0.0), (4.0, 1.0), (5.0, 1.5), (8.0, 0.0), (1.0, 3.0), (1.0, 7.0))
PROFILES = ("gaussian", "slr")
AXES = ("R", "A")
NOISE = (0.02, 0.05)


def standard_tasks(seed: int = 0) -> list[SimulateConfig]:
    """Return the tasks of the standard set.

    Args:
        seed: Seed of the noise.
    """
    changes: Iterable[dict[str, Any]] = chain(
        [{}],
        ({"thickness_mm": thickness, "gap_mm": gap} for thickness, gap in SLICES_MM),
        ({"profile": profile} for profile in PROFILES),
        ({"axis": axis} for axis in AXES),
        ({"noise": noise} for noise in NOISE),
        [
            {
                "thickness_mm": 5.0,
                "gap_mm": 1.5,
                "profile": "gaussian",
                "axis": "A",
                "noise": 0.02,
            },
            {"thickness_mm": 8.0, "profile": "slr", "axis": "R", "noise": 0.05},
        ],
    )
    return [SimulateConfig(**change, seed=seed) for change in changes]


@dataclass(frozen=True)
class TaskMean:
    """What the solvers gave on one task, mean over the images.

    Attributes:
        task: The degradation in words.
        psnr_db: Solver -> PSNR; None where it failed on an image.
        spectral_error_db: Solver -> spectral error along the slices' axis, likewise.
        n_images: Number of images.
    """

    task: str
    psnr_db: dict[str, float | None]
    spectral_error_db: dict[str, float | None]
    n_images: int


def means_by_task(rows: Sequence[Row]) -> list[TaskMean]:
    """Return the mean of each solver over the images, task by task, in the order of the rows."""
    by_task: dict[str, list[Row]] = {}
    for row in rows:
        by_task.setdefault(row.degradation, []).append(row)
    solvers = list(dict.fromkeys(row.solver for row in rows))
    return [_mean(task, found, solvers) for task, found in by_task.items()]


def _mean(task: str, rows: Sequence[Row], solvers: Sequence[str]) -> TaskMean:
    def means(name: str) -> dict[str, float | None]:
        return {s: _mean_of([getattr(r, name) for r in rows if r.solver == s]) for s in solvers}

    n_images = len({row.image for row in rows})
    return TaskMean(task, means("psnr_db"), means("spectral_error_db"), n_images)


def _mean_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
