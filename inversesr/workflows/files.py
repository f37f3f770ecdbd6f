"""Simulating and evaluating from files to files."""

import json
from dataclasses import asdict, replace
from pathlib import Path

from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.errors import InputError
from inversesr.evaluation.scores import Scores, score_volume
from inversesr.io.atomic import atomic_folder, check_output
from inversesr.io.checks import stem
from inversesr.io.masks import read_mask
from inversesr.io.nifti import read_scan, write_volume
from inversesr.io.paths import from_home


def simulate_file(
    truth: Path, output: Path, config: SimulateConfig, *, force: bool = False
) -> tuple[str, ...]:
    """Make a thick-slice scan and its BIDS sidecar from a thin-slice image.

    Returns:
        What is odd about that image's file, in sentences.

    Raises:
        InputError: truth is unusable, or output cannot be written.
    """
    truth, output = from_home(truth), from_home(output)
    if not output.name.endswith((".nii.gz", ".nii")):
        message = f"{output.name} is not a NIfTI name: end it in .nii.gz"
        raise InputError(message)
    if output.parent.resolve() / stem(output) == truth.parent.resolve() / stem(truth):
        message = f"{output} would take the place of the image it is made from: name it otherwise"
        raise InputError(message)
    sidecar = output.with_name(stem(output) + ".json")
    check_output([output, sidecar], force=force)
    scan = read_scan(truth)
    thick = simulate(scan.volume, config)
    facts = {
        "SliceThickness": config.thickness_mm,
        "SpacingBetweenSlices": config.thickness_mm + config.gap_mm,
        "Simulation": asdict(config),
    }
    with atomic_folder(output.parent, output.name) as partial:
        write_volume(partial / output.name, thick, scan)
        (partial / sidecar.name).write_text(json.dumps(facts, indent=2) + "\n")
    return scan.warnings


def evaluate_files(image: Path, truth: Path, mask: Path | None = None) -> Scores:
    """Compare two image files; see `score_volume`."""
    truth_scan, image_scan = read_scan(truth), read_scan(image)
    warnings, inside = (*image_scan.warnings, *truth_scan.warnings), None
    if mask is not None:
        inside, remarks = read_mask(mask, truth_scan.volume.grid)
        warnings = (*warnings, *remarks)
    scores = score_volume(image_scan.volume, truth_scan.volume, inside)
    return replace(scores, warnings=tuple(dict.fromkeys(warnings)))
