"""Solvers side by side: quality, seconds and peak memory, each run in a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from inversesr.config import SimulateConfig
from inversesr.errors import InverseSRError
from inversesr.evaluation import evaluate
from inversesr.files import simulate_file
from inversesr.nifti import Scan, read_scan, stem, write_volume
from inversesr.simulation import slice_axis_towards
from inversesr.volume import Grid, Volume

# A routine clinical scan, and its halves and double: what a user's patience is measured by.
SCALING_SHAPES = ((128, 112, 26), (256, 112, 26), (256, 224, 26), (256, 224, 52))
SCALING_SPACING_MM = (0.9, 0.9, 5.5)


@dataclass(frozen=True)
class Row:
    """What one run gave.

    Attributes:
        task: Image and degradation in words.
        solver: Name of the solver.
        psnr_db: Against the truth, inside its foreground; nan where there is no truth.
        ssim: Likewise.
        residual: Largest |A x - y| of the result as a share of the scan's range.
        unlocked: The same before the lock.
        n_voxels: Voxels of the result.
        seconds: Wall clock of the whole process.
        lock_seconds: Wall clock of the lock alone.
        peak_gib: Peak resident memory of the process.
    """

    task: str
    solver: str
    psnr_db: float
    ssim: float
    residual: float
    unlocked: float
    n_voxels: int
    seconds: float
    lock_seconds: float
    peak_gib: float


def compare_solvers(
    truths: Iterable[Path],
    tasks: Sequence[SimulateConfig],
    solvers: Sequence[str],
    progress: Callable[[Row], None],
) -> list[Row]:
    """Degrade images, restore them with each solver, and score the results.

    The fine grid is that of the truth, so that nothing is interpolated to be scored.

    Args:
        truths: Thin-slice images.
        tasks: How each is degraded.
        solvers: Names of solvers.
        progress: Called with each row as it is done.
    """
    rows = []
    for truth_path in truths:
        truth = read_scan(truth_path)
        for task in tasks:
            with tempfile.TemporaryDirectory() as name:
                thick = Path(name) / "thick.nii.gz"
                simulate_file(truth_path, thick, task)
                label = f"{stem(truth_path)} {task.thickness_mm:g}|{task.gap_mm:g} {task.profile}"
                axis = slice_axis_towards(truth.volume.grid, task.axis)
                spacing = truth.volume.grid.spacing_mm[axis]
                for solver in solvers:
                    options = ["--spacing", str(spacing), "--profile", task.profile]
                    rows.append(_run(label, thick, solver, options, truth.volume))
                    progress(rows[-1])
    return rows


def measure_scaling(solvers: Sequence[str], progress: Callable[[Row], None]) -> list[Row]:
    """Time each solver on scans of growing size.

    Args:
        solvers: Names of solvers.
        progress: Called with each row as it is done.
    """
    rows = []
    for shape in SCALING_SHAPES:
        with tempfile.TemporaryDirectory() as name:
            thick = Path(name) / "thick.nii.gz"
            _write_phantom(thick, shape)
            for solver in solvers:
                label = "phantom " + " x ".join(str(n) for n in shape)
                rows.append(_run(label, thick, solver, [], None))
                progress(rows[-1])
    return rows


def _run(label: str, thick: Path, solver: str, options: list[str], truth: Volume | None) -> Row:
    """Run one solver in a process of its own, and judge what it wrote."""
    output = thick.parent / solver
    command = [sys.executable, "-m", "inversesr", "run", str(thick), "-o", str(output)]
    command += ["--solver", solver, "--json", "--force", *options]
    start = perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        if process.returncode != 0:
            message = f"{solver} failed on {label}: {err.read().decode().strip()}"
            raise InverseSRError(message)
        record = json.load(out)
    image = read_scan(Path(record["outputs"]["image"])).volume
    scores = None if truth is None else evaluate(image, truth)
    scan = record["scans"][0]
    return Row(
        task=label,
        solver=solver,
        psnr_db=float("nan") if scores is None else scores.psnr_db,
        ssim=float("nan") if scores is None else scores.ssim,
        residual=scan["agreement"]["largest_share"],
        unlocked=scan["before_lock"]["largest_share"],
        n_voxels=image.data.size,
        seconds=seconds,
        lock_seconds=record["seconds"]["lock"],
        peak_gib=usage.ru_maxrss / 2**20,
    )


def _write_phantom(path: Path, shape: tuple[int, int, int]) -> None:
    """Write nested ellipsoids with noise: edges at every angle, and something to denoise."""
    ranges = [np.linspace(-1.0, 1.0, n, dtype=np.float32) for n in shape]
    radius = np.sqrt(sum(np.square(r) for r in np.meshgrid(*ranges, indexing="ij", sparse=True)))
    noise = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    data = 100.0 * (radius < 0.9) + 60.0 * (radius < 0.6) - 80.0 * (radius < 0.2) + 2.0 * noise
    grid = Grid(shape, np.diag([*SCALING_SPACING_MM, 1.0]))
    volume = Volume(np.abs(data).astype(np.float32), grid)
    write_volume(path, volume, Scan.made_here(volume))
