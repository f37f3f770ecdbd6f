"""The result of a scan whose head moved between its slices, as any other result."""

from dataclasses import replace
from time import perf_counter

import torch

from inversesr.config import AUTOMATIC, Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.measurements.consistency import Agreement, agreement
from inversesr.measurements.slice_motion import largest_motion
from inversesr.measurements.slices import Task
from inversesr.result import Result, Source
from inversesr.solvers.protocol import Progress
from inversesr.volume import Volume
from inversesr.workflows.motion import INTERLEAVES, SLICES, Moved, is_moved, restore_moved
from inversesr.workflows.prepare import Prepared, prepare_task

OFF = "off"
SINGLE = (
    "poses of single slices are uncertain, and neighbours of one that moved may be moved, too: "
    "compare the result with that of --motion off"
)
# Each restoration on the way is one pass; of the error nothing is known.
ONE_PASS = ("solver.adapt_steps=0", "solver.expected_error=false")


def kind_of_motion(task: Task, config: Config) -> str | None:
    """Return what is to be brought together, "interleaves" or "slices"; None for nothing.

    Args:
        task: The scan.
        config: Choices of the run.

    Raises:
        InputError: slices are missing, so that interleaves cannot be told apart.
    """
    if config.motion == OFF:
        return None
    if config.motion == AUTOMATIC:
        return INTERLEAVES if is_moved(task) else None
    if task.acquisition.missing:
        message = (
            f"motion is {config.motion} and slices are missing: the motion of a stack with holes "
            "is not estimated: leave out --motion"
        )
        raise InputError(message)
    return config.motion


def restore_motion(
    scan: Scan, ready: Prepared, config: Config, kind: str, progress: Progress
) -> Result:
    """Restore a scan whose head moved between its slices.

    Args:
        scan: The scan.
        ready: How it would be restored at rest.
        config: Choices of the run.
        kind: What moved as one, "interleaves" or "slices".
        progress: Called with a phase, the steps done and their total.
    """
    start, task, prior = perf_counter(), ready.task, ready.setup.prior
    settings = (*config.settings, *ONE_PASS) if prior is not None else config.settings
    chosen = replace(
        config, solver=ready.solver.name, settings=settings, motion=OFF, consistency=AUTOMATIC
    )

    def thin(part: Task) -> torch.Tensor:
        return prepare_task(part, chosen, prior).solve(lambda _phase, _done, _total: None).x

    moved = restore_moved(task, kind, thin, progress)
    degrees, mm = largest_motion(moved.parts)
    found = _agreement(moved, task)
    note = (
        f"{kind} were brought together: the head moved by up to {degrees:.1f} degrees and "
        f"{mm:.1f} mm; the result lies as the first slice does, and agrees with the slices where "
        "each of them lay, to within what motion left"
    )
    doubts = (SINGLE,) if kind == SLICES else ()
    return Result(
        Volume(moved.solution.x.float().cpu().numpy(), task.fine),
        (Source(scan, task.acquisition, task.sigma, found, found, mm),),
        config,
        f"{moved.solution.status}, {len(moved.parts)} poses",
        moved.solution.history,
        ready.solver.name,
        OFF,
        {"motion": perf_counter() - start},
        (note, *doubts, *ready.notes),
        moved.facts,
    )


def _agreement(moved: Moved, task: Task) -> Agreement:
    """Compare the image, seen in the pose of each slice, with what was measured."""
    seen = task.y.clone()
    for part in moved.parts:
        y = part.operator(moved.solution.x)
        y = torch.where(part.covered(part.pose), y, part.task.y)
        numbers = torch.tensor(part.slices, device=seen.device)
        seen.index_copy_(task.slice_axis, numbers, y)
    return agreement(seen, task.y, task.slice_axis)
