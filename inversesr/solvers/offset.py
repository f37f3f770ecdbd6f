"""Solvers see a scan whose air is at zero, wherever its intensities lie.

    solve(y) = solve(y - air) + air

The rows of A sum to one, so that what explains y - air explains y once air is added.
"""

from dataclasses import replace

from inversesr.acquisition.foreground import air_level
from inversesr.measurements.slices import Task
from inversesr.protocols import Solution


def without_offset(task: Task) -> tuple[Task, float]:
    """Return a task whose air is at zero, and what was taken off its intensities.

    Args:
        task: The scan; one whose air is at zero already is returned as it is.
    """
    air = air_level(task.y.cpu().numpy())
    return (task, 0.0) if air == 0.0 else (replace(task, y=task.y - air), air)


def with_offset(solution: Solution, air: float) -> Solution:
    """Return a solution in the intensities of the scan.

    Args:
        solution: Solution of the task whose air is at zero.
        air: What was taken off the scan's intensities.
    """
    if air == 0.0:
        return solution
    samples, unprotected = solution.samples, solution.unprotected
    return replace(
        solution,
        x=solution.x + air,
        samples=None if samples is None else samples + air,
        unprotected=None if unprotected is None else unprotected + air,
    )
