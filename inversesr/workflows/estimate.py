"""What a run would do, take and need, found out without doing it.

    seconds(n) = fixed + n * (seconds of a block of the scan) / (voxels of the block)

The machine's speed is measured: the run is started on a block from the middle of the scan and
stopped after a few steps of its solver. What the U-Net learns of a scan takes as long for a
small scan as for a large one. Several scans are fused to the end on a smaller block around the
middle of the first. Memory is counted by voxel, which no machine changes.
"""

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from time import perf_counter

import numpy as np

from inversesr.acquisition.content import read_scans
from inversesr.acquisition.geometry import Acquisition, describe_acquisition, fine_grid
from inversesr.acquisition.plausibility import doubts
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.masks import read_regions
from inversesr.io.nifti import Scan, write_volume
from inversesr.io.paths import from_home
from inversesr.priors.networks.error_net import ROLE as ERROR
from inversesr.report.html import write_report
from inversesr.resources import available_memory_bytes, resident_memory_bytes, set_threads
from inversesr.result import make_map
from inversesr.solvers.options import options_of
from inversesr.solvers.registry import BASELINE_NAME, DEFAULT_NAME, find
from inversesr.volume import Affine, Grid, Image
from inversesr.workflows import restore as pipeline
from inversesr.workflows.fusion import fuse
from inversesr.workflows.outputs import Outputs, output_names
from inversesr.workflows.prepare import Prepared, prepare, solver_of_fusion
from inversesr.workflows.record import file_facts, provenance

# A block must be too large for the processor's cache, as the scan is.
BLOCK_VOXELS = 2.5e6
SMALL_BLOCK_VOXELS = 0.2e6
# Where later steps take longer than the first ones, a smaller block is timed to its end.
UNEVEN_BLOCK_VOXELS = 0.7e6
# So is fusing: a share of the run that a reader waits for.
FUSION_BLOCK_VOXELS = 0.4e6
LEAST_SLICES = 4
# The solver is stopped after both.
LEAST_STEPS = 3
LEAST_SECONDS = 2.0
# Peak of the process a voxel of the fine grid above what it holds before, where scans are fused.
FUSION_BYTES_PER_VOXEL = 120.0


@dataclass(frozen=True, eq=False)
class Plan:
    """What a run would do.

    Attributes:
        scans: The scans as they were read.
        acquisitions: How each was taken, as far as known or assumed.
        fine: The grid that would be written.
        config: Choices of the run.
        outputs: Files that would be written.
        seconds: How long it would take; None where that cannot be told beforehand.
        memory_bytes: Its peak of memory, or None.
        free_bytes: Memory that is free now.
        remarks: What the run would remark on its choices.
    """

    scans: tuple[Scan, ...]
    acquisitions: tuple[Acquisition, ...]
    fine: Grid
    config: Config
    outputs: tuple[Path, ...]
    seconds: float | None
    memory_bytes: float | None
    free_bytes: int
    remarks: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the run would warn of."""
        found = [
            warning
            for scan, acquisition in zip(self.scans, self.acquisitions, strict=True)
            for warning in (
                *scan.warnings,
                *acquisition.warnings,
                *doubts(scan, acquisition.slice_axis),
            )
        ]
        if self.memory_bytes is not None and self.memory_bytes > self.free_bytes:
            found.append("there may not be enough free memory: give a coarser --spacing")
        return tuple(dict.fromkeys([*self.remarks, *found]))


@dataclass
class _Clock:
    """Notes when each step of each phase was done, and stops the run after enough of them."""

    start: float = field(default_factory=perf_counter)
    steps: list[tuple[float, int, int]] = field(default_factory=list)
    phase: str = ""

    def __call__(self, phase: str, done: int, total: int) -> None:
        if phase != self.phase:
            self.phase, self.steps = phase, []
        self.steps.append((perf_counter(), done, total))
        first = self.steps[0][0]
        is_enough = len(self.steps) > LEAST_STEPS and self.steps[-1][0] - first > LEAST_SECONDS
        if is_enough and done < total:
            raise _EnoughError

    def whole_run(self) -> float:
        """Extrapolate from the steps that were seen to the phase's end."""
        (first, n_first, _), (last, n_last, total) = self.steps[0], self.steps[-1]
        step = (last - first) / max(n_last - n_first, 1)
        return first - self.start + step * (total - n_first)

    def step_seconds(self) -> float:
        """Return the seconds of a step after the first; 0 where there were not enough."""
        if len(self.steps) <= LEAST_STEPS:
            return 0.0
        (first, n_first, _), (last, n_last, _) = self.steps[1], self.steps[-1]
        return (last - first) / (n_last - n_first)


class _EnoughError(Exception):
    """The clock has seen enough."""


def plan_run(
    paths: Sequence[Path], config: Config, folder: Path | None = None, mask: Path | None = None
) -> Plan:
    """Find out what a run would do, how long it would take and what it would need.

    Args:
        paths: Image files, as for `run_job`.
        config: Choices of the run.
        folder: Where it would write; None for beside the first scan.
        mask: Image file that marks where several scans are registered.

    Raises:
        InputError: the run would refuse the scans.
    """
    set_threads(config.threads)
    paths = [from_home(path) for path in paths]
    size = config.voxel_size_mm
    read = read_scans(paths, config.volume, size)
    protect = None if config.protect is None else Path(config.protect)
    (region, _), read[0] = read_regions([mask, protect], read[0], size)
    scans = tuple(read)
    acquisitions = tuple(describe_acquisition(scan, config) for scan in scans)
    prepared = prepare(scans[0], config) if len(scans) == 1 else None
    solver = solver_of_fusion(len(scans), config) if prepared is None else prepared.solver
    consistency = "off" if prepared is None else prepared.setup.consistency
    remarks = () if prepared is None else prepared.notes
    config = replace(config, solver=solver.name, consistency=consistency)
    fine = fine_grid(scans[0].volume.grid, acquisitions[0])
    n_voxels = prod(fine.shape)
    # before the machine is measured, which leaves memory behind
    memory = estimate_memory(config.solver, n_voxels, resident_memory_bytes(), len(scans))
    if len(scans) == 1:
        seconds: float | None = estimate_seconds(scans[0], paths[0], config, n_voxels)
    else:
        seconds = estimate_fusion(scans, paths[0], config, region, n_voxels)
    return Plan(
        scans,
        acquisitions,
        fine,
        config,
        files_of(output_names(paths[0], folder), config, prepared),
        seconds,
        memory,
        available_memory_bytes(),
        remarks,
    )


def files_of(outputs: Outputs, config: Config, prepared: Prepared | None) -> tuple[Path, ...]:
    """Return the files that a run would write.

    Args:
        outputs: Names of all that there may be.
        config: Choices of the run.
        prepared: What was decided for one scan; None where several are fused.
    """
    maps = set() if prepared is None else maps_of_run(prepared, config)
    return tuple(outputs.with_maps(maps).files.values())


def maps_of_run(prepared: Prepared, config: Config) -> set[str]:
    """Return which maps a run would write beside the image."""
    solver, options, prior = prepared.solver, prepared.setup.options, prepared.setup.prior
    is_protected = solver.is_latent or (config.protect is not None and solver.has_prior)
    has_samples = solver.draws_samples and options.n_samples > 1
    is_judged = getattr(options, "expected_error", False) and (
        prior is not None and ERROR in prior.card.networks
    )
    present = {
        "sd": has_samples or is_judged,
        "low": has_samples,
        "high": has_samples,
        "prior_mask": is_protected,
        "surprise": solver.is_latent and getattr(options, "surprise", False),
        "unprotected": is_protected and config.keep_unprotected,
    }
    return {name for name, is_there in present.items() if is_there}


def estimate_memory(
    solver: str, n_voxels: int, resident_bytes: float, n_scans: int = 1
) -> float | None:
    """Return the peak of the process in bytes; None for a solver that was not measured."""
    entry = find(solver)
    by_voxel = entry.bytes_per_voxel if n_scans == 1 else FUSION_BYTES_PER_VOXEL
    if by_voxel is None:
        return None
    return resident_bytes + entry.least_bytes + by_voxel * n_voxels


def estimate_seconds(scan: Scan, path: Path, config: Config, n_voxels: int) -> float:
    """Return how long the run of one scan would take here and now.

    Args:
        scan: The scan.
        path: Its file.
        config: Choices of the run.
        n_voxels: Voxels of the fine grid.
    """
    acquisition = describe_acquisition(scan, config)
    if acquisition.interpolated is not None:
        # a part may not show what the whole does
        config = replace(config, thickness_mm=acquisition.thickness_mm, gap_mm=None)
    is_uneven = not find(config.solver).is_even
    block = middle_block(scan, config, UNEVEN_BLOCK_VOXELS if is_uneven else BLOCK_VOXELS)
    n_block = prod(_fine(block, config).shape)
    once = replace(config, settings=(*config.settings, "solver.adapt_steps=0"))
    solving = _time_solving(block, once) * n_voxels / n_block + _time_adapting(block, config)
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
        fuse(blocks, config, region, lambda *_: None, pipeline.choose_device(config.device))
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


def _time_solving(scan: Scan, config: Config) -> float:
    clock = _Clock()
    watch = (lambda *_: None) if not find(config.solver).is_even else clock
    try:
        pipeline.restore([scan], config, None, watch)
    except _EnoughError:
        return clock.whole_run()
    return perf_counter() - clock.start


def _time_adapting(scan: Scan, config: Config) -> float:
    """Time the training steps on a scan, where the solver begins with the U-Net."""
    entry = find(config.solver)
    n_steps = getattr(options_of(entry, config.settings), "adapt_steps", 0)
    if not n_steps:
        return 0.0
    clock = _Clock()
    with suppress(_EnoughError):
        pipeline.restore([scan], replace(config, solver=DEFAULT_NAME), None, clock)
    return clock.step_seconds() * n_steps


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
