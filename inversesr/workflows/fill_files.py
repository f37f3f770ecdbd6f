"""Filling a scan from files to files: image, map of what was generated, record and report."""

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from inversesr.acquisition.content import check_content
from inversesr.acquisition.missing import KEY, named_slices
from inversesr.io.atomic import atomic_folder, check_output, is_image_name
from inversesr.io.json_text import json_text
from inversesr.io.masks import read_regions
from inversesr.io.nifti import read_scan, write_volume
from inversesr.io.paths import from_home
from inversesr.report.html import write_report
from inversesr.resources import set_threads
from inversesr.result import MAPS
from inversesr.solvers.protocol import Progress
from inversesr.workflows.fill import Filled, fill
from inversesr.workflows.fill_choices import FillConfig
from inversesr.workflows.outputs import Outputs, output_names
from inversesr.workflows.record import file_facts, provenance, sidecar_facts

DESCRIPTION = "filled"


@dataclass(frozen=True)
class FillOutputs:
    """Files of a filled scan.

    Attributes:
        outputs: Image, record, report and maps.
        samples: Images that are all as likely.
    """

    outputs: Outputs
    samples: tuple[Path, ...] = ()


def fill_file(
    path: Path,
    choices: FillConfig,
    place: Path | None = None,
    mask: Path | None = None,
    *,
    force: bool = False,
    progress: Progress = lambda _phase, _done, _total: None,
) -> tuple[Filled, FillOutputs]:
    """Fill a scan from file to files.

    Args:
        path: Image file.
        choices: What is generated, and how.
        place: Folder, or name of the image to write; None for beside the scan.
        mask: Image file that marks a region to generate.
        force: Whether existing results may be replaced.
        progress: Called with a phase, the steps done and their total.

    Raises:
        InputError: something in the way was found before any work was done.
    """
    start = perf_counter()
    path, mask = from_home(path), None if mask is None else from_home(mask)
    names = filled_names(path, None if place is None else from_home(place), choices.samples)
    check_output([*names.outputs.files.values(), *names.samples], force=force)
    set_threads(choices.threads)
    scan = read_scan(path, choices.volume, voxel_size=choices.as_config().voxel_size_mm)
    check_content(scan)
    (region,), scan = read_regions([mask], scan, choices.as_config().voxel_size_mm)
    filled = fill(scan, choices, region, progress)
    record = record_of(filled, path, mask)
    outputs = names.outputs.with_maps(filled.result.maps)
    samples = names.samples[: len(filled.samples)]
    record["files"] = outputs.names | {
        f"sample {n}": file.name for n, file in enumerate(samples, start=1)
    }
    with atomic_folder(outputs.image.parent, outputs.image.name) as partial:
        for file, volume in zip(samples, filled.samples, strict=True):
            write_volume(partial / file.name, volume, scan)
        for name, found in filled.result.maps.items():
            write_volume(partial / outputs.maps[name].name, found.volume, scan)
        write_volume(partial / outputs.image.name, filled.result.volume, scan)
        record["seconds"]["total"] = perf_counter() - start
        (partial / outputs.sidecar.name).write_text(json_text(record, indent=2) + "\n")
        write_report(partial / outputs.report.name, filled.result, record)
    return filled, FillOutputs(outputs, samples)


def filled_names(path: Path, place: Path | None, n_samples: int | None) -> FillOutputs:
    """Return where the results of filling a scan go.

    scan.nii.gz -> scan_desc-filled.nii.gz, scan_desc-filledgenerated_mask.nii.gz, ...

    Args:
        path: Image file.
        place: A folder, or the name of the image to write; None for beside the scan.
        n_samples: Number of samples, or None.
    """
    numbers = range(1, (n_samples or 0) + 1)
    first, where = (place, None) if place is not None and is_image_name(place) else (path, place)
    drawn = [output_names(first, where, f"{DESCRIPTION}sample{n}").image for n in numbers]
    return FillOutputs(output_names(path, place, DESCRIPTION), tuple(drawn))


def record_of(filled: Filled, path: Path, mask: Path | None) -> dict[str, Any]:
    """Return everything needed to repeat and to judge what was filled, as plain data.

    The record lies beside the image as its sidecar: `run` takes slices that were generated as
    missing, and warns of a region.
    """
    result, wanted = filled.result, filled.wanted
    record = provenance(result, [file_facts(path)])
    acquisition = wanted.acquisition
    record |= {
        "Description": "Missing or spoilt parts of an MRI scan, generated; not measured",
        "SliceThickness": acquisition.thickness_mm,
        "SpacingBetweenSlices": acquisition.slice_spacing_mm,
        KEY: list(wanted.slices),
        "GeneratedVoxels": wanted.region is not None,
        "Heading": f"parts generated with {result.solver_used}",
        "prior": [
            f"{named_slices(wanted.slices)} of the image: made by {result.solver_used}."
            if wanted.slices
            else "No slice was generated.",
            *(["Voxels within the mask: made by total variation, or the solver that was named."]
              if wanted.region is not None else []),
            "All other voxels are those of the scan, bit by bit.",
            "What was generated is likely at best. It shows no finding, and hides none.",
        ],
        "sidecars": sidecar_facts([path])[0],
        "masks": {} if mask is None else {"mask": file_facts(mask)},
        "spoilt": {str(n): kind for n, kind in wanted.spoilt.items()},
        "slices_added": wanted.n_added,
    }  # fmt: skip
    record["maps"] = {name: record["maps"][name] for name in MAPS if name in record["maps"]}
    return record
