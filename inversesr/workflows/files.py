"""Simulating and evaluating from files to files."""

import json
from dataclasses import asdict
from pathlib import Path

from inversesr.acquisition.simulation import simulate
from inversesr.config import SimulateConfig
from inversesr.errors import InputError
from inversesr.evaluation.scores import Scores, score_volume
from inversesr.io.atomic import atomic_folder, check_output
from inversesr.io.checks import stem
from inversesr.io.nifti import read_mask, read_scan, write_volume


def simulate_file(
    truth: Path, output: Path, config: SimulateConfig, *, force: bool = False
) -> None:
    """Make a thick-slice scan and its BIDS sidecar from a thin-slice image.

    Raises:
        InputError: truth is unusable, or output cannot be written.
    """
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


def evaluate_files(image: Path, truth: Path, mask: Path | None = None) -> Scores:
    """Compare two image files; see `score_volume`."""
    truth_scan = read_scan(truth)
    inside = None if mask is None else read_mask(mask, truth_scan.volume.grid)
    return score_volume(read_scan(image).volume, truth_scan.volume, inside)
