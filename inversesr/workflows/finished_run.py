"""A finished run, taken up again: its image, its scan, and the measurement between the two."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inversesr.acquisition.content import read_scans
from inversesr.acquisition.geometry import describe_acquisition
from inversesr.acquisition.missing import measured_volume
from inversesr.config import OLD_CHOICES, Config
from inversesr.errors import InputError
from inversesr.io.checks import stem
from inversesr.io.dicom.taking import taken_in
from inversesr.io.nifti import Scan, read_scan
from inversesr.io.paths import check_path, from_home
from inversesr.measurements.consistency import agreement
from inversesr.measurements.slices import Task
from inversesr.volume import Volume
from inversesr.workflows.record import file_facts, present_solver_of, read_record, sidecar_facts

RECORD, REPORT = ".json", "_report.html"
# Images are rounded when they are written.
SAME_GRID_MM, SAME_AGREEMENT = 1e-2, 1e-3
DESCRIPTION = re.compile(r"(?P<start>.*_desc-[A-Za-z0-9]*sr)(?:_(?P<suffix>[A-Za-z0-9]+))?$")


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A finished run.

    Attributes:
        image: File of the restored image.
        record: What its record says.
        scan: The scan behind it.
        volume: The restored image.
        task: The scan as it was measured.
        config: Choices of the run.
    """

    image: Path
    record: dict[str, Any]
    scan: Scan
    volume: Volume
    task: Task
    config: Config

    @property
    def solver(self) -> str:
        """Name of the solver that made the image."""
        return present_solver_of(self.record["solver"]["used"])


def find_run(place: Path) -> tuple[Path, dict[str, Any]]:
    """Return the image and the record of a run.

    Args:
        place: The record, or the image.

    Raises:
        InputError: there is no such file, or it is not of a run of one scan.
    """
    place = from_home(place)
    is_record = place.suffix == RECORD
    if not is_record:
        check_path(place)
    elif not place.is_file():
        message = f"{place} does not exist: give the record of a run, or its image"
        raise InputError(message)
    sidecar = place if is_record else place.with_name(f"{stem(place)}{RECORD}")
    record = read_record(sidecar)
    if not _is_whole(record):
        message = (
            f"{sidecar.name} is no record of a run; expected the record that `inversesr run` "
            "writes, or the image beside it: give that"
        )
        raise InputError(message)
    image = sidecar.with_name(record["files"]["image"]) if is_record else place
    _refuse_other_kinds(record, image)
    return image, record


def _is_whole(record: dict[str, Any]) -> bool:
    """Whether a record has all that is read of it here."""
    try:
        told = record["scans"][0]
        numbers = [told["acquisition"]["thickness_mm"], told["noise"]]
        numbers.append(told["agreement"]["largest_share"])
        named = record["inputs"][0]["name"], record["config"]["solver"], record["files"]["image"]
    except (KeyError, IndexError, TypeError):
        return False
    return (
        all(isinstance(n, int | float) for n in numbers)
        and all(isinstance(name, str) for name in named)
        and isinstance(record.get("solver"), dict)
    )


def _refuse_other_kinds(record: dict[str, Any], image: Path) -> None:
    reasons = {
        f"it is fused from {len(record['inputs'])} scans": len(record["inputs"]) != 1,
        "the head moved between its slices": "poses" in record["solver"],
        "it is of another command than `inversesr run`": "Heading" in record
        or "used" not in record["solver"],
    }
    for reason, holds in reasons.items():
        if holds:
            message = (
                f"{image.name} cannot be explained: {reason}, and only results of one scan at "
                "rest are: give such a result"
            )
            raise InputError(message)
    if not image.is_file():
        message = f"{image.name} is gone; its record is there: run the scan again"
        raise InputError(message)


def take_up(place: Path, scan: Path | None = None) -> FinishedRun:
    """Take up a finished run.

    Args:
        place: Its record, or its image.
        scan: The scan; None to look for it beside the result, in the folder above, and in the
            present one.

    Raises:
        InputError: the scan is gone or has changed, or the result is of another kind.
    """
    image, record = find_run(place)
    config = _config_of(record)
    facts = record["inputs"][0]
    file = _find_scan(str(facts["name"]), image, scan)
    with taken_in([file], config.series) as taken:
        is_same = (taken[0].facts or file_facts(taken[0].path)) == facts
        sidecars = [] if taken[0].facts else sidecar_facts([taken[0].path])[0]
        if not is_same or sidecars != record.get("sidecars", [sidecars])[0]:
            what = "the sidecar of " if is_same else ""
            message = (
                f"{what}{file.name} has changed since the run: run it again, or give the scan as "
                "it was with --scan"
            )
            raise InputError(message)
        read = read_scans([taken[0].path], config.volume, config.voxel_size_mm)[0]
    volume = read_scan(image).volume
    task = _task_of(read, config, record)
    _check_image(volume, task, image, record)
    return FinishedRun(image, record, read, replace(volume, grid=task.fine), task, config)


def _config_of(record: dict[str, Any]) -> Config:
    """Return the choices of a run, without those that another version knows alone."""
    known = {field.name for field in fields(Config)}
    chosen = {OLD_CHOICES.get(n, n): v for n, v in record["config"].items()}
    kept = {n: v for n, v in chosen.items() if n in known and n != "lock"}
    return Config(**kept)


def _find_scan(name: str, image: Path, given: Path | None) -> Path:
    if given is not None:
        return from_home(given)
    folders = (image.parent, image.parent.parent, Path.cwd())
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    message = (
        f"the scan {name} is not beside {image.name}, nor in the folder above or the present one: "
        "say where it is with --scan"
    )
    raise InputError(message)


def _task_of(scan: Scan, config: Config, record: dict[str, Any]) -> Task:
    """Rebuild what was measured; thickness and noise are those that the run found."""
    told = record["scans"][0]
    found = describe_acquisition(scan, config)
    acquisition = replace(found, thickness_mm=float(told["acquisition"]["thickness_mm"]))
    there = measured_volume(scan.volume, acquisition.slice_axis, acquisition.missing)
    y = torch.from_numpy(there.data)
    return Task(y, scan.volume.grid, acquisition, float(told["noise"]))


def _check_image(volume: Volume, task: Task, image: Path, record: dict[str, Any]) -> None:
    """Refuse an image that is not the one of the record."""
    fine = task.fine
    is_same = fine.shape == volume.grid.shape and fine.farthest_mm(volume.grid) < SAME_GRID_MM
    if is_same:
        y_of_x = task.A(torch.from_numpy(volume.data))
        share = agreement(y_of_x, task.y, task.slice_axis).largest_share
        told = float(record["scans"][0]["agreement"]["largest_share"])
        is_same = bool(np.isclose(share, told, rtol=0.1, atol=SAME_AGREEMENT))
    if not is_same:
        message = (
            f"{image.name} is not the image that its record tells of: its voxels or its agreement "
            "with the scan are others: run the scan again"
        )
        raise InputError(message)


@dataclass(frozen=True)
class ExplainFiles:
    """What `explain` writes.

    Attributes:
        page: For people.
        record: The same as plain data.
        measured: Share of the detail that the data determine, by voxel.
    """

    page: Path
    record: Path
    measured: Path

    @property
    def all(self) -> Sequence[Path]:
        """Every file."""
        return (self.page, self.record, self.measured)


def explain_files(run: FinishedRun, folder: Path | None) -> ExplainFiles:
    """Return where an explanation goes.

    Args:
        run: The run.
        folder: Where to; None for beside its image.
    """
    place = run.image.parent if folder is None else folder
    report = str(run.record["files"].get("report", ""))
    whole = stem(run.image)
    name = report.removesuffix(REPORT) if report.endswith(REPORT) else whole
    match = DESCRIPTION.match(whole)
    label = f"{whole}_desc-srmeasured_mask"
    if match is not None:
        label = f"{match['start']}measured{match['suffix'] or ''}_mask"
    return ExplainFiles(
        place / f"{name}_explain.html",
        place / f"{name}_explain.json",
        place / f"{label}.nii.gz",
    )
