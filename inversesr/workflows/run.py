"""One job from files to files: read, restore, write image, sidecar and report.

Everything is written under temporary names in a folder of its own and renamed at the end, the
image last: who finds the image finds a whole one, with all that belongs to it.
"""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from inversesr.acquisition.content import read_scans
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.atomic import atomic_folder, check_output
from inversesr.io.dicom.taking import Taken, taken_in
from inversesr.io.json_text import json_text
from inversesr.io.masks import read_regions
from inversesr.io.nifti import write_volume
from inversesr.io.paths import from_home, parts_of
from inversesr.io.sidecar import sidecars_of
from inversesr.report.html import write_report
from inversesr.resources import set_threads
from inversesr.result import Result
from inversesr.solvers.protocol import Progress
from inversesr.volume import Image
from inversesr.workflows.derived_series import check_dicom, remove_dicom, write_dicom
from inversesr.workflows.outputs import Outputs, output_names
from inversesr.workflows.record import file_facts, provenance, sidecar_facts
from inversesr.workflows.restore import restore

# of a float32, and what a map of deviations keeps of them
MANTISSA_BITS, KEPT_BITS = 23, 9


def run_job(
    scans: Sequence[Path],
    config: Config,
    folder: Path | None = None,
    mask: Path | None = None,
    *,
    force: bool = False,
    progress: Progress = lambda _phase, _done, _total: None,
) -> tuple[Result, Outputs]:
    """Restore one scan, or several of one subject, from files to files.

    Args:
        scans: Image files, or DICOM folders, files or zip archives; the first gives the name, the
            space and the intensities.
        config: Choices of the run.
        folder: Where to write: a folder, or the name of the image; None for beside the first
            scan.
        mask: Image file that marks the brain: where several scans are registered, and by what
            one scan is aligned to a prior with a pose of its own.
        force: Whether existing results may be replaced.
        progress: Called with a phase, the steps done and their total.

    Raises:
        InputError: something in the way was found before any work was done.
    """
    with taken_in(scans, config.series) as taken:
        return _run_taken(taken, config, (folder, mask), force=force, progress=progress)


def _run_taken(
    taken: Sequence[Taken],
    config: Config,
    places: tuple[Path | None, Path | None],
    *,
    force: bool,
    progress: Progress,
) -> tuple[Result, Outputs]:
    """Carry out `run_job` on scans that are image files by now."""
    start = perf_counter()
    folder, mask = places
    scans = [one.path for one in taken]
    outputs = output_names(taken[0].shown, None if folder is None else from_home(folder))
    mask = None if mask is None else from_home(mask)
    protect = None if config.protect is None else from_home(Path(config.protect))
    _check_inputs(scans, [file for file in (mask, protect) if file is not None], outputs)
    check_output(list(outputs.files.values()), force=force)
    if config.dicom:
        check_dicom(taken, outputs.image, force=force)
    set_threads(config.threads)
    size = config.voxel_size_mm
    read = read_scans(scans, config.volume, size)
    read = [one.with_notes(scan) for one, scan in zip(taken, read, strict=True)]
    regions, read[0] = read_regions((mask, protect), read[0], size)
    # before the work: what is hashed is what was read
    inputs = [one.facts or file_facts(one.path) for one in taken]
    sidecars = [[] if one.facts else sidecar_facts([one.path])[0] for one in taken]
    masks = {"mask": mask, "protect": protect}
    mask_facts = {role: file_facts(file) for role, file in masks.items() if file is not None}
    reading = perf_counter() - start
    result = restore(read, config, regions[0], progress, regions[1])
    record = provenance(result, inputs)
    record["sidecars"] = sidecars
    record["dicom"] = [one.acquisition for one in taken]
    record["masks"] = mask_facts
    record["seconds"] = {"read": reading, **record["seconds"]}
    written = outputs.with_maps(result.maps)
    record["files"] = written.names
    with atomic_folder(outputs.image.parent, outputs.image.name) as partial:
        _write_volumes(partial, written, result)
        if config.dicom:
            write_dicom(partial, outputs.image, result, taken, record)
        record["seconds"]["total"] = perf_counter() - start
        (partial / outputs.sidecar.name).write_text(json_text(record, indent=2) + "\n")
        write_report(partial / written.report.name, result, record)
    for stale in set(outputs.maps.values()) - set(written.maps.values()):
        stale.unlink(missing_ok=True)  # of an earlier run by another solver
    remove_dicom(outputs.image, record)
    return result, written


def _write_volumes(partial: Path, outputs: Outputs, result: Result) -> None:
    """Write the image and what came with it."""
    scan = result.sources[0].scan
    write_volume(partial / outputs.image.name, result.volume, scan, result.config.output_type)
    for name, found in result.maps.items():
        volume = found.volume
        kept = volume.with_data(shortened(volume.data)) if name == "sd" else volume
        write_volume(partial / outputs.maps[name].name, kept, scan, "float32")


def shortened(data: Image) -> Image:
    """Return numbers rounded to about three digits: the others are noise that fills the disk.

    Args:
        data: Finite numbers that are not negative, float32.
    """
    dropped = MANTISSA_BITS - KEPT_BITS
    half = np.uint32(1 << (dropped - 1))
    rounded = (data.view(np.uint32) + half) >> np.uint32(dropped) << np.uint32(dropped)
    return np.asarray(rounded.view(np.float32))


def _check_inputs(scans: Sequence[Path], masks: Sequence[Path], outputs: Outputs) -> None:
    inputs = [parts_of(path)[0].resolve() for path in scans]
    if len(set(inputs)) < len(inputs):
        message = "the same scan is named twice: name each scan once"
        raise InputError(message)
    inputs += [mask.resolve() for mask in masks]
    inputs += [sidecar.resolve() for scan in scans for sidecar in sidecars_of(scan)]
    for file in outputs.files.values():
        if file.resolve() in inputs:
            message = f"{file} is an input and would be replaced: give another place with -o"
            raise InputError(message)
