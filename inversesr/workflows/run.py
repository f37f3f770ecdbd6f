"""One job from files to files: read, restore, write image, sidecar and report.

Everything is written under temporary names in a folder of its own and renamed at the end, the
image last: who finds the image finds a whole one, with all that belongs to it.
"""

import hashlib
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from inversesr.acquisition.content import read_scans
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.atomic import atomic_folder, check_output, is_image_name
from inversesr.io.checks import stem
from inversesr.io.dicom.taking import Taken, taken_in
from inversesr.io.json_text import json_text
from inversesr.io.masks import read_regions
from inversesr.io.nifti import write_volume
from inversesr.io.paths import from_home, parts_of
from inversesr.io.sidecar import name_of_sidecar, sidecars_of
from inversesr.io.source import files_of
from inversesr.report.html import write_report
from inversesr.report.narrative import prior_sentences
from inversesr.resources import peak_memory_bytes, set_threads
from inversesr.result import MAPS, Map, Result, Source
from inversesr.solvers.protocol import Progress
from inversesr.volume import Image
from inversesr.workflows.derived_series import check_dicom, remove_dicom, write_dicom
from inversesr.workflows.restore import restore

NOT_FOR_DIAGNOSIS = "Research use only: not for diagnosis."
# of a float32, and what a map of deviations keeps of them
MANTISSA_BITS, KEPT_BITS = 23, 9


@dataclass(frozen=True)
class Outputs:
    """Names of the files that a run writes.

    Attributes:
        image: The restored image.
        sidecar: Everything needed to repeat and to judge the run.
        report: The same for people.
        maps: Images beside the restored one by their names in `result.MAPS`.
    """

    image: Path
    sidecar: Path
    report: Path
    maps: dict[str, Path] = field(default_factory=dict)

    def with_maps(self, names: Iterable[str]) -> "Outputs":
        """Return the outputs with some of their maps only."""
        return replace(self, maps={name: self.maps[name] for name in self.maps if name in names})

    @property
    def files(self) -> dict[str, Path]:
        """What there is -> its file."""
        always = {"image": self.image, "sidecar": self.sidecar, "report": self.report}
        return always | self.maps

    @property
    def names(self) -> dict[str, str]:
        """What there is -> name of its file."""
        return {role: path.name for role, path in self.files.items()}


def output_names(scan: Path, place: Path | None) -> Outputs:
    """Return where the results of a scan go; a BIDS name gets its entity in the right place.

    scan.nii.gz -> scan_desc-sr.nii.gz      sub-01_T1w.nii.gz -> sub-01_desc-sr_T1w.nii.gz

    BIDS has one `desc` in a name and one suffix: a label that is there already comes first, and
    the names of masks, whose suffix is another, tell the contrast in the label.

    Args:
        scan: Image file.
        place: A folder, or the name of the image to write, which names what goes beside it; None
            for beside the scan.

    Raises:
        InputError: place is the name of an image that is not written.
    """
    if place is not None and is_image_name(place):
        named = output_names(place, None)
        return replace(named, image=place, sidecar=place.with_name(f"{stem(place)}.json"))
    folder = scan.parent if place is None else place
    name = stem(scan)
    entities, _, suffix = name.rpartition("_")
    is_bids = name.startswith("sub-") and "-" not in suffix and bool(entities)
    start, end = (f"{entities}_", f"_{suffix}") if is_bids else (f"{name}_", "")
    start, _, former = start.partition("desc-") if is_bids else (start, "", "")
    former = former.removesuffix("_")
    contrast = suffix if is_bids else ""

    def file(description: str, ending: str = end) -> Path:
        return folder / f"{start}desc-{former}{description}{ending}.nii.gz"

    maps = {
        role: file(f"{kind.label}{contrast if kind.suffix else ''}", kind.suffix or end)
        for role, kind in MAPS.items()
    }
    sidecar = folder / f"{start}desc-{former}sr{end}.json"
    return Outputs(file("sr"), sidecar, folder / f"{name}_report.html", maps)


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


def file_facts(path: Path) -> dict[str, Any]:
    """Name, size and sha256 of a file: enough to know it again.

    Those of other files that belong to an image, such as the voxels of a header, stand below
    "with".
    """
    others = [_facts_of_one(part) for part in files_of(path) if part != path]
    return _facts_of_one(path) | ({"with": others} if others else {})


def _facts_of_one(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}


def sidecar_facts(scans: Sequence[Path]) -> list[list[dict[str, Any]]]:
    """Facts of the BIDS sidecars of each scan, named from its folder, the nearest one last."""
    return [
        [file_facts(file) | {"name": name_of_sidecar(file, scan)} for file in sidecars_of(scan)]
        for scan in scans
    ]


def provenance(result: Result, inputs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Everything needed to repeat and to judge a run, as plain data."""
    grid, slice_axis = result.volume.grid, result.sources[0].acquisition.slice_axis
    return {
        "Description": "Thin slices restored from thick-slice MRI",
        "IntendedUse": NOT_FOR_DIAGNOSIS,
        # a sidecar above the scan holds for the result too, but for these
        "SliceThickness": grid.spacing_mm[slice_axis],
        "SpacingBetweenSlices": grid.spacing_mm[slice_axis],
        "SkullStripped": bool(result.sources[0].scan.sidecar.get("SkullStripped", False)),
        "Sources": [f"bids:raw:{facts['name']}" for facts in inputs],
        "GeneratedBy": [{"Name": "inversesr", "Version": version("inversesr")}],
        "warnings": list(result.warnings),
        "inputs": list(inputs),
        "config": asdict(result.config),
        "solver": {
            "asked": result.solver_asked,
            "used": result.solver_used,
            "status": result.status,
            **result.history,
            **result.facts,
        },
        "prior": list(prior_sentences(result)),
        "prior_card": result.prior_card,
        "consistency": result.consistency,
        "maps": {name: _map_record(found) for name, found in result.maps.items()},
        "scans": [_source_record(source) for source in result.sources],
        "output": {
            "shape": list(grid.shape),
            "spacing_mm": list(grid.spacing_mm),
            "axcodes": grid.axcodes,
            "affine": grid.affine.tolist(),
        },
        "seconds": dict(result.seconds),
        "peak_memory_bytes": peak_memory_bytes(),
        "software": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "scipy", "nibabel")},
        },
    }


def _source_record(source: Source) -> dict[str, Any]:
    return {
        "name": source.scan.name,
        "shape": list(source.scan.volume.grid.shape),
        "spacing_mm": list(source.scan.volume.grid.spacing_mm),
        "acquisition": asdict(source.acquisition),
        "noise": source.noise,
        "before_consistency": asdict(source.before_consistency),
        "agreement": asdict(source.agreement),
        "motion_mm": source.motion_mm,
    }


def _map_record(found: Map) -> dict[str, str]:
    return {"meaning": found.meaning, "unit": found.unit, "source": found.source}
