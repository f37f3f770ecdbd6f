"""Solvers by name: what each needs of a scan, and the one table that lists them all."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from inversesr.acquisition import Acquisition, fine_grid, forward_operator
from inversesr.config import AUTOMATIC, Config
from inversesr.operators.separable import SeparableOperator
from inversesr.priors.warmstart import TRAINED_THICKNESS, load_warmstart
from inversesr.protocols import Progress, Solution
from inversesr.solvers.spline import spline
from inversesr.solvers.tv import tv
from inversesr.solvers.warmstart import describe_slices, warmstart
from inversesr.volume import Grid


@dataclass(frozen=True, eq=False)
class Task:
    """One scan to be restored.

    Attributes:
        y: The scan in its own voxels and intensities, shape scan_grid.shape.
        scan_grid: Its voxels.
        acquisition: How it was taken.
        sigma: Standard deviation of its noise, in its own intensities.
    """

    y: torch.Tensor
    scan_grid: Grid
    acquisition: Acquisition
    sigma: float

    @cached_property
    def fine(self) -> Grid:
        """Voxels of the result."""
        return fine_grid(self.scan_grid, self.acquisition)

    @cached_property
    def A(self) -> SeparableOperator:
        """Forward operator, fine grid -> scan grid."""
        return forward_operator(self.scan_grid, self.fine, self.acquisition)

    @cached_property
    def x0(self) -> torch.Tensor:
        """Spline interpolation of the scan on the fine grid."""
        return spline(self.y, self.scan_grid, self.fine)


def _spline(task: Task, _config: Config, _progress: Progress) -> Solution:
    return Solution(task.x0, "closed form", 0)


def _tv(task: Task, _config: Config, progress: Progress) -> Solution:
    axis = task.acquisition.slice_axis
    return tv(task.A, task.y, task.x0, task.sigma, axis, lambda n, of: progress("tv", n, of))


def _warmstart(task: Task, config: Config, progress: Progress) -> Solution:
    net = load_warmstart(config.prior, task.y.device)
    progress("warmstart", 0, 1)
    slices = describe_slices(task.scan_grid, task.fine, task.acquisition)
    solution = warmstart(task.A, task.y, task.x0, net, slices)
    progress("warmstart", 1, 1)
    return solution


# name, as in config.SOLVER_NAMES -> solver
SOLVERS: dict[str, Callable[[Task, Config, Progress], Solution]] = {
    "spline": _spline,
    "tv": _tv,
    "warmstart": _warmstart,
}


def choose_solver(task: Task, wanted: str) -> tuple[str, tuple[str, ...]]:
    """Return the solver to use, and what a reader should know of the choice, in sentences.

    Args:
        task: The scan.
        wanted: Name of a solver, or "auto".
    """
    if wanted != AUTOMATIC:
        return wanted, ()
    slices = describe_slices(task.scan_grid, task.fine, task.acquisition)
    low, high = TRAINED_THICKNESS
    found = slices.geometry.thickness
    if low <= found <= high:
        return "warmstart", ()
    return "tv", (
        f"slices are {found:.3g} times as thick as the thin ones; the warm start knows {low:g} to "
        f"{high:g} times: tv is used, which invents nothing",
    )


def solve(task: Task, config: Config, progress: Progress) -> Solution:
    """Restore a scan by the solver of the config.

    Raises:
        InputError: the solver needs a prior that is not usable.
    """
    return SOLVERS[config.solver](task, config, progress)
