"""Explains a finished result: what the data determine, what the prior, and what is left open."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inversesr.acquisition.brain_mask import brain_mask, has_deepbet, stripped_region
from inversesr.acquisition.foreground import foreground
from inversesr.errors import InputError
from inversesr.explain.measured import (
    Parts,
    Shares,
    energies,
    measured_map,
    shares,
    take_apart,
    whole_energy,
)
from inversesr.explain.openness import Openness, Subject, find_openness
from inversesr.explain.record import as_record
from inversesr.explain.regions import Labels, Mask, label_regions, regions_of
from inversesr.io.atomic import atomic_folder, check_output
from inversesr.io.json_text import json_text
from inversesr.io.masks import read_labels, read_mask
from inversesr.io.nifti import write_volume
from inversesr.io.paths import from_home
from inversesr.operators.interpolation import spline
from inversesr.priors.installed import OpenPrior, open_prior
from inversesr.report.explain import write_explain_page
from inversesr.resources import set_threads
from inversesr.solvers.offset import without_offset
from inversesr.solvers.registry import find
from inversesr.volume import Image
from inversesr.workflows.finished_run import ExplainFiles, FinishedRun, explain_files, take_up
from inversesr.workflows.record import NOT_FOR_DIAGNOSIS, file_facts

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ExplainInputs:
    """What may be given beside a result.

    Attributes:
        scan: The scan, where it is not beside the result.
        mask: The brain, above 0 inside.
        labels: Label map whose regions are told apart.
        seed: Seed of the posterior samples; None for that of the run.
        threads: Processor threads; None for all.
    """

    scan: Path | None = None
    mask: Path | None = None
    labels: Path | None = None
    seed: int | None = None
    threads: int | None = None


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a result owes to the data and to the prior.

    Attributes:
        run: The run.
        regions: Shares by the names of regions.
        share: Share of the detail that the data determine, by voxel.
        parts: The image taken apart.
        brain: The brain on the fine grid.
        found_brain: How the brain was found, in words.
        openness: What the scan leaves open, or None.
        why_closed: Why that is not known, in a sentence; "" where it is.
    """

    run: FinishedRun
    regions: dict[str, Shares]
    share: Image
    parts: Parts
    brain: Mask
    found_brain: str
    openness: Openness | None
    why_closed: str = ""


def explain_file(
    place: Path,
    inputs: ExplainInputs,
    folder: Path | None = None,
    *,
    force: bool = False,
    progress: Progress = lambda _phase, _done, _total: None,
) -> tuple[dict[str, Any], ExplainFiles]:
    """Explain a finished run; write a page, a record and a map.

    Args:
        place: The record of the run, or its image.
        inputs: What is given beside it.
        folder: Where to write; None for beside the image.
        force: Whether existing files may be replaced.
        progress: Called with a phase, the steps done and their total.

    Raises:
        InputError: the scan is gone or has changed, or the result is of another kind.
    """
    set_threads(inputs.threads)
    run = take_up(place, inputs.scan)
    files = explain_files(run, None if folder is None else from_home(folder))
    check_output(files.all, force=force)
    found = explain(run, inputs, progress)
    record = record_of(found, inputs)
    record["files"] = {"page": files.page.name, "measured": files.measured.name}
    share = run.volume.with_data(found.share)
    with atomic_folder(files.page.parent, files.page.name) as partial:
        write_volume(partial / files.measured.name, share, run.scan)
        (partial / files.record.name).write_text(json_text(record, indent=2) + "\n")
        write_explain_page(partial / files.page.name, run.volume, share, found.openness, record)
    return record, files


def explain(
    run: FinishedRun,
    inputs: ExplainInputs,
    progress: Progress = lambda _phase, _done, _total: None,
) -> Explanation:
    """Explain a finished run.

    Args:
        run: The run.
        inputs: What is given beside it.
        progress: Called with a phase, the steps done and their total.
    """
    task, fine = run.task, run.task.fine
    x = torch.from_numpy(run.volume.data)
    brain, found_brain = _brain_of(run, inputs.mask)
    labels = None if inputs.labels is None else read_labels(from_home(inputs.labels), fine)
    parts = take_apart(task.A, x, task.x0)
    window = _window_voxels(run)
    by_voxel = energies(parts, window)
    regions = regions_of(task, brain, {} if labels is None else label_regions(labels))
    told = {name: shares(by_voxel, inside) for name, inside in regions.items()}
    share = measured_map(by_voxel, window, run.volume.data)
    del by_voxel
    progress("data and prior", 1, 1)
    openness, why = _openness_of(run, brain, labels, (inputs, progress))
    return Explanation(run, told, share, parts, brain, found_brain, openness, why)


def _window_voxels(run: FinishedRun) -> tuple[float, float, float]:
    """Return the width of local means: half the distance of slices, along every axis."""
    mm = run.task.acquisition.slice_spacing_mm / 2.0
    x, y, z = (mm / s for s in run.task.fine.spacing_mm)
    return (x, y, z)


def _brain_of(run: FinishedRun, file: Path | None) -> tuple[Mask, str]:
    """Return the brain on the fine grid, and how it was found."""
    scan, task = run.scan.volume, run.task
    if file is not None:
        return read_mask(from_home(file), task.fine)[0], f"the mask {file.name}"
    found, how = stripped_region(scan), "all that is not zero: the scan is stripped"
    if found is None and has_deepbet():
        try:
            found, how = brain_mask(scan), "found by deepbet"
        except InputError:
            found = None
    if found is None:
        found = foreground(scan.data)
        how = "not known: the whole head stands for it; give --mask for the brain alone"
    inside = torch.from_numpy(found.astype(np.float32))
    return np.asarray(spline(inside, task.scan_grid, task.fine).numpy() > 0.5), how


def _openness_of(
    run: FinishedRun, brain: Mask, labels: Labels | None, asked: tuple[ExplainInputs, Progress]
) -> tuple[Openness | None, str]:
    """Return what the scan leaves open, or why that is not known."""
    inputs, progress = asked
    prior, why = _prior_of(run)
    if prior is None:
        return None, why
    if run.task.acquisition.missing:
        return None, "slices are missing, and the denoiser of the prior knows whole stacks only"
    try:
        net = prior.conditional(torch.device("cpu"))
    except InputError:
        return None, f"the prior {prior.name} has no conditional denoiser, whose bottleneck tells"
    task, air = without_offset(run.task)
    x = torch.from_numpy(run.volume.data)
    is_bright = is_fluid_bright(run.scan.name, run.scan.sidecar)
    subject = Subject(task, x, brain, labels, is_bright, air)
    seed = run.config.seed if inputs.seed is None else inputs.seed
    return find_openness(subject, net, seed, progress), ""


def _prior_of(run: FinishedRun) -> tuple[OpenPrior | None, str]:
    """Return the prior that the image rests on, or why there is none, in a sentence."""
    card = run.record.get("prior_card")
    if card is None or not find(run.solver).has_prior:
        return None, f"the image was made by {run.solver} without a prior, whose samples tell"
    try:
        prior = open_prior(run.config.prior)
    except InputError as error:
        return None, f"the prior of the run cannot be opened: {error}"
    if prior.sha256 != card.get("sha256"):
        return None, f"the prior {prior.name} is another than in the run: its card has changed"
    return prior, ""


def is_fluid_bright(name: str, sidecar: dict[str, Any]) -> bool:
    """Whether fluid is bright in a scan: its name, or its sidecar, says T2 and not FLAIR."""
    words = f"{name} {sidecar.get('SeriesDescription', '')} {sidecar.get('ProtocolName', '')}"
    return "T2" in words.upper() and not any(w in words.upper() for w in ("FLAIR", "T1"))


def record_of(found: Explanation, inputs: ExplainInputs) -> dict[str, Any]:
    """Return an explanation as plain data, without pictures."""
    run, whole = found.run, whole_energy(found.parts.whole)
    acquisition = run.task.acquisition
    parts = found.parts
    return {
        "Description": "What of a restored image the data determine, and what the prior",
        "IntendedUse": NOT_FOR_DIAGNOSIS,
        "GeneratedBy": [{"Name": "inversesr", "Version": version("inversesr")}],
        "result": file_facts(run.image),
        "inputs": run.record["inputs"],
        "labels": None if inputs.labels is None else file_facts(from_home(inputs.labels)),
        "solver": run.solver,
        "prior_card": run.record.get("prior_card"),
        "consistency": run.record.get("consistency"),
        "slices": {
            "thickness_mm": acquisition.thickness_mm,
            "spacing_mm": acquisition.slice_spacing_mm,
            "thin_mm": run.task.fine.plane_distance_mm[run.task.slice_axis],
        },
        "slice_axis": run.task.slice_axis,
        "brain": found.found_brain,
        "fluid_is_bright": is_fluid_bright(run.scan.name, run.scan.sidecar),
        "energy": {
            "whole": whole,
            "measured": whole_energy(parts.measured),
            "unmeasured": whole_energy(parts.unmeasured),
        },
        "local_mean_mm": acquisition.slice_spacing_mm / 2.0,
        "regions": {name: asdict(s) for name, s in found.regions.items()},
        "left_open": None if found.openness is None else as_record(found.openness),
        "not_told": found.why_closed,
    }
