"""`inversesr run --explain`: the plan of a run in words."""

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from inversesr.cli.console import print_json, warn
from inversesr.config import Config

if TYPE_CHECKING:
    from inversesr.volume import Grid
    from inversesr.workflows.estimate import Plan

CONSISTENCY_WORDS = {
    "exact": "the result reproduces the measured slices exactly",
    "noise": "the result reproduces the measured slices to within their noise",
    "off": "off: the result may differ from the measured slices",
}


def explain(
    scans: Sequence[Path],
    config: Config,
    folder: Path | None,
    mask: Path | None = None,
    *,
    as_json: bool,
) -> None:
    """Print what a run would do; write nothing."""
    from inversesr.resources import busy_cores, cores_left, process_seconds, usable_cores
    from inversesr.workflows.estimate import plan_run

    # a run, too, starts Python and loads its libraries
    begun = process_seconds()
    n_busy = busy_cores() if config.threads is None else 0
    plan = plan_run(scans, config, folder, mask)
    if plan.seconds is not None:
        plan = replace(plan, seconds=plan.seconds + begun)
    warn(plan.warnings)
    if as_json:
        print_json(as_record(plan))
        return
    for line in sentences(plan):
        typer.echo(line)
    if cores_left(n_busy) < usable_cores():
        typer.echo(advice_on_threads(n_busy))


def sentences(plan: "Plan") -> list[str]:
    """Return a plan line by line."""
    from inversesr.resources import gibibytes

    lines = []
    for scan, acquisition in zip(plan.scans, plan.acquisitions, strict=True):
        lines.append(f"scan:    {scan.name}: {_grid_words(scan.volume.grid)}")
        lines += [f"         {sentence}" for sentence in acquisition.assumptions]
    lines.append(f"result:  {_grid_words(plan.fine)}")
    how = f"fused from {len(plan.scans)} scans by " if len(plan.scans) > 1 else ""
    lines.append(f"solver:  {how}{plan.config.solver}")
    lines.append(f"data:    {CONSISTENCY_WORDS[plan.config.consistency]}")
    if plan.seconds is None:
        lines.append("time:    not known beforehand: the scans hardly overlap in their middle")
    else:
        lines.append(f"time:    about {duration(plan.seconds)} at this machine's present speed")
    free = f"{gibibytes(plan.free_bytes)} are free"
    if plan.memory_bytes is None:
        lines.append(f"memory:  not known beforehand; {free}")
    else:
        lines.append(f"memory:  about {gibibytes(plan.memory_bytes)}; {free}")
    for path in plan.outputs:
        lines.append(f"writes:  {path}{'  (exists: needs --force)' if path.exists() else ''}")
    return [*lines, "Nothing was written. Leave out --explain to run it."]


def advice_on_threads(n_busy: int) -> str:
    """Return what to do where others use the cores: threads that wait for one wait for all."""
    from inversesr.resources import cores_left

    return (
        f"{n_busy} of {os.cpu_count()} cores are busy with other work: while that lasts, "
        f"--threads {cores_left(n_busy)} is faster"
    )


def duration(seconds: float) -> str:
    """Return a time in words, as exact as an estimate is."""
    if seconds < 90.0:
        return f"{max(round(seconds), 1)} s"
    if seconds < 90.0 * 60.0:
        return f"{round(seconds / 60.0)} minutes"
    return f"{seconds / 3600.0:.1f} hours"


def as_record(plan: "Plan") -> dict[str, Any]:
    """Return a plan as plain data."""
    return {
        "config": asdict(plan.config),
        "scans": [
            {"name": scan.name, "acquisition": asdict(acquisition)}
            for scan, acquisition in zip(plan.scans, plan.acquisitions, strict=True)
        ],
        "output": {
            "shape": list(plan.fine.shape),
            "spacing_mm": list(plan.fine.spacing_mm),
            "files": [str(path) for path in plan.outputs],
        },
        "seconds": plan.seconds,
        "memory_bytes": plan.memory_bytes,
        "free_bytes": plan.free_bytes,
        "warnings": list(plan.warnings),
    }


def _grid_words(grid: "Grid") -> str:
    size = " x ".join(str(n) for n in grid.shape)
    spacing = " x ".join(f"{s:.3g}" for s in grid.spacing_mm)
    return f"{size} voxels of {spacing} mm ({grid.axcodes})"
