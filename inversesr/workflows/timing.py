"""How long a run would take, measured on a small part of the scan.

    seconds(n) = fixed + n * (seconds of a block of the scan) / (voxels of the block)

The machine's speed is measured: the solver is run with a few of its steps on a block from the
middle of the scan. Fine-tuning on a scan takes as long for a small scan as for a large one.
Several scans are fused to the end on a smaller block around the middle of the first.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from time import perf_counter

import numpy as np

from inversesr.acquisition.geometry import describe_acquisition, fine_grid
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan, write_volume
from inversesr.priors.networks.unet import ROLE
from inversesr.report.html import write_report
from inversesr.result import make_map
from inversesr.solvers.options import PREFIX
from inversesr.solvers.registry import BASELINE_NAME, DEFAULT_NAME, find
from inversesr.volume import Affine, Grid, Image
from inversesr.workflows import restore as pipeline
from inversesr.workflows.fusion import fuse
from inversesr.workflows.prepare import Prepared, solver_of_fusion
from inversesr.workflows.record import file_facts, provenance

# A block must be too large for the processor's cache, as the scan is.
BLOCK_VOXELS = 2.5e6
SMALL_BLOCK_VOXELS = 0.2e6
# Where later steps take longer than the first ones, a smaller block is timed to its end.
UNEVEN_BLOCK_VOXELS = 0.7e6
# So is fusing: a share of the run that a reader waits for.
FUSION_BLOCK_VOXELS = 0.4e6
LEAST_SLICES = 4
# Steps of a solver, and of its fine-tuning, that are timed.
FEW_STEPS = 3
TUNING = "adapt_steps"


@dataclass
class Clock:
    """Notes when each step of each phase was done.

    Attributes:
        marks: Phase -> seconds and number of steps done, one each time that progress was told.
    """

    marks: dict[str, list[tuple[float, int]]] = field(default_factory=dict)

    def __call__(self, phase: str, done: int, _total: int) -> None:
        """Note progress, as solvers tell it."""
        self.marks.setdefault(phase, []).append((perf_counter(), done))

    def step_seconds(self, phase: str, n_steps: int) -> float:
        """Return the seconds of a step after the first; 0 where two were not seen.

        Args:
            phase: The phase.
            n_steps: How many of what was told are such steps; what follows them is none.
        """
        seen = [mark for mark in self.marks.get(phase, []) if 0 < mark[1] <= n_steps]
        if len(seen) < 2:
            return 0.0
        (first, n_first), (last, n_last) = seen[0], seen[-1]
        return (last - first) / (n_last - n_first)


def estimate_seconds(scan: Scan, path: Path, prepared: Prepared, config: Config) -> float:
    """Return how long the run of one scan would take here and now.

    Args:
        scan: The scan.
        path: Its file.
        prepared: What was decided for it.
        config: Choices of the run.
    """
    n_voxels = prod(prepared.task.fine.shape)
    acquisition = prepared.task.acquisition
    if acquisition.interpolated is not None:
        # a part may not show what the whole does
        config = replace(config, thickness_mm=acquisition.thickness_mm, gap_mm=None)
    is_even = prepared.solver.is_even
    block = middle_block(scan, config, BLOCK_VOXELS if is_even else UNEVEN_BLOCK_VOXELS)
    by_voxel, fixed = _time_solving(block, prepared, config)
    solving = by_voxel * n_voxels / prod(_fine(block, config).shape) + fixed
    return solving + _estimate_writing(scan, path, config, n_voxels)


def estimate_fusion(
    scans: Sequence[Scan], path: Path, config: Config, mask: Image | None, n_voxels: int
) -> float | None:
    """Return how long fusing several scans would take here and now.

    Args:
        scans: The scans.
        path: File of the first.
        config: Choices of the run.
        mask: Where they are registered, on the grid of the first; None for everywhere.
        n_voxels: Voxels of the fine grid.

    Returns:
        Seconds; None where the middles of the scans do not overlap enough to be fused.
    """
    share = min(1.0, FUSION_BLOCK_VOXELS / n_voxels) ** (1.0 / 3.0)
    grid = scans[0].volume.grid
    centre = grid.affine @ [*(np.array(grid.shape) - 1) / 2.0, 1.0]
    boxes = [_box_around(scan.volume.grid, centre, share) for scan in scans]
    blocks = [
        replace(scan, volume=scan.volume.cropped(box))
        for scan, box in zip(scans, boxes, strict=True)
    ]
    start = perf_counter()
    try:
        region = None if mask is None else mask[boxes[0]]
        prior = pipeline.prior_of_fusion(solver_of_fusion(scans, config)[0], config)
        thin = pipeline.thinner(config, prior)
        device = pipeline.choose_device(config.device)
        fuse(blocks, config, region, lambda *_: None, device, thin)
    except InputError:
        return None
    fusing = (perf_counter() - start) * n_voxels / prod(_fine(blocks[0], config).shape)
    return fusing + _estimate_writing(scans[0], path, config, n_voxels)


def _box_around(grid: Grid, centre: Affine, share: float) -> tuple[slice, slice, slice]:
    """Return this share of a grid along each axis, about a point of the world, inside the grid."""
    voxel = np.linalg.inv(grid.affine) @ centre
    box = []
    for axis, n_all in enumerate(grid.shape):
        n = min(n_all, max(LEAST_SLICES, round(n_all * share)))
        start = min(max(round(voxel[axis] - (n - 1) / 2.0), 0), n_all - n)
        box.append(slice(start, start + n))
    return box[0], box[1], box[2]


def _estimate_writing(scan: Scan, path: Path, config: Config, n_voxels: int) -> float:
    small, block = (middle_block(scan, config, n) for n in (SMALL_BLOCK_VOXELS, BLOCK_VOXELS))
    n_small, n_block = (prod(_fine(part, config).shape) for part in (small, block))
    return extrapolate(
        (n_small, _time_writing(small, path, config)),
        (n_block, _time_writing(block, path, config)),
        n_voxels,
    )


def extrapolate(small: tuple[int, float], large: tuple[int, float], n: int) -> float:
    """Return the seconds for n voxels on the line through two measured points.

    Where the larger one did not take longer, or both are the same, the time is proportional.
    """
    (n_small, seconds_small), (n_large, seconds_large) = small, large
    if n_large <= n_small or seconds_large <= seconds_small:
        return seconds_large * n / n_large
    slope = (seconds_large - seconds_small) / (n_large - n_small)
    return seconds_large + slope * (n - n_large)


def middle_block(scan: Scan, config: Config, n_fine: float) -> Scan:
    """Cut a scan down, within its slices, to about n_fine voxels of the fine grid."""
    acquisition = describe_acquisition(scan, config)
    grid = scan.volume.grid
    share = min(1.0, n_fine / prod(_fine(scan, config).shape)) ** 0.5
    box = [slice(0, n) for n in grid.shape]
    for axis in range(3):
        if axis != acquisition.slice_axis:
            n = min(grid.shape[axis], max(3, round(grid.shape[axis] * share)))
            start = (grid.shape[axis] - n) // 2
            box[axis] = slice(start, start + n)
    return replace(scan, volume=scan.volume.cropped((box[0], box[1], box[2])))


def _fine(scan: Scan, config: Config) -> Grid:
    return fine_grid(scan.volume.grid, describe_acquisition(scan, config))


def _time_solving(block: Scan, prepared: Prepared, config: Config) -> tuple[float, float]:
    """Return the seconds of a solver on a block: those that grow with voxels, and the others.

    It is run to its end with a few steps; the seconds of a step tell those of the others.
    """
    entry, options = prepared.solver, prepared.setup.options
    n_steps = getattr(options, entry.steps) if entry.steps else 0
    n_tuning = getattr(options, TUNING, 0)
    n_few, n_few_tuning = min(n_steps, FEW_STEPS), min(n_tuning, FEW_STEPS)
    short = {entry.steps: n_few, TUNING: n_few_tuning}
    settings = tuple(f"{PREFIX}{name}={n}" for name, n in short.items() if n)
    if entry.draws_samples and config.samples is not None:
        config = replace(config, samples=n_few)
    config = replace(config, solver=entry.name, settings=(*config.settings, *settings))
    clock, start = Clock(), perf_counter()
    pipeline.restore([block], config, None, clock)
    seconds = perf_counter() - start
    step, tuning = (
        clock.step_seconds(entry.name, n_few),
        clock.step_seconds(ROLE, n_few_tuning),
    )
    by_voxel = seconds - n_few_tuning * tuning + (n_steps - n_few) * step
    return by_voxel, n_tuning * tuning


def _time_writing(scan: Scan, path: Path, config: Config) -> float:
    """Time what follows the solver: image, record, report."""
    result = pipeline.restore([scan], replace(config, solver=BASELINE_NAME, settings=()))
    if find(config.solver).name == DEFAULT_NAME:
        result = replace(result, maps={"sd": make_map("sd", result.volume, "")})
    with tempfile.TemporaryDirectory() as name:
        start = perf_counter()
        record = provenance(result, [file_facts(path)])
        write_volume(Path(name) / "a.nii.gz", result.volume, scan, config.output_type)
        if result.sd is not None:
            write_volume(Path(name) / "b.nii.gz", result.sd, scan, "float32")
        write_report(Path(name) / "a.html", result, record)
        return perf_counter() - start
