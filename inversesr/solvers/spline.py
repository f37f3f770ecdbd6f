"""Cubic spline interpolation: what people get today, and the baseline of every table."""

from dataclasses import dataclass

from inversesr.measurements.slices import Task
from inversesr.protocols import Solution
from inversesr.solvers.setup import Setup


@dataclass(frozen=True)
class Spline:
    """Options of `spline`: none."""


def restore(task: Task, _setup: Setup) -> Solution:
    """Return the interpolated scan."""
    return Solution(task.x0, "closed form", 0)
