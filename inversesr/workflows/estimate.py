"""What a run would do, take and need, found out without doing it.

Its time is measured (`timing`). Memory is counted by voxel, which no machine changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from inversesr.acquisition.content import read_scans
from inversesr.acquisition.geometry import Acquisition, describe_acquisition, fine_grid
from inversesr.acquisition.plausibility import doubts
from inversesr.config import Config
from inversesr.io.masks import read_regions
from inversesr.io.nifti import Scan
from inversesr.io.paths import from_home
from inversesr.priors.networks.error_net import ROLE as ERROR
from inversesr.resources import available_memory_bytes, resident_memory_bytes, set_threads
from inversesr.solvers.registry import find
from inversesr.volume import Grid
from inversesr.workflows.outputs import Outputs, output_names
from inversesr.workflows.prepare import Prepared, prepare, solver_of_fusion
from inversesr.workflows.timing import estimate_fusion, estimate_seconds

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
                *doubts(scan, acquisition.slice_axis, acquisition.missing),
            )
        ]
        if self.memory_bytes is not None and self.memory_bytes > self.free_bytes:
            found.append("there may not be enough free memory: give a coarser --spacing")
        return tuple(dict.fromkeys([*self.remarks, *found]))


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
    if prepared is None:
        solver, remarks = solver_of_fusion(scans, config)
    else:
        solver, remarks = prepared.solver, prepared.notes
    consistency = "off" if prepared is None else prepared.setup.consistency
    config = replace(config, solver=solver.name, consistency=consistency)
    fine = fine_grid(scans[0].volume.grid, acquisitions[0])
    n_voxels = prod(fine.shape)
    # before the machine is measured, which leaves memory behind
    memory = estimate_memory(config.solver, n_voxels, resident_memory_bytes(), len(scans))
    if prepared is not None:
        seconds: float | None = estimate_seconds(scans[0], paths[0], prepared, config)
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
        "generated": prepared.task.generated is not None,
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
