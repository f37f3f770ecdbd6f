"""Results as DICOM series in the study of their source: the image, and its deviation map."""

import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.checks import stem
from inversesr.io.dicom.attributes import LONGEST_NAME, NOT_FOR_DIAGNOSIS, Told
from inversesr.io.dicom.series import Series
from inversesr.io.dicom.taking import Taken
from inversesr.io.dicom.write import check_source, write_series
from inversesr.result import Result

# Series numbers of results: far from those of scanners, and telling whose they are.
FIRST_NUMBER = 9000
# Choices that change no voxel, or are told by the content of the files that they name.
OTHER_CHOICES = ("threads", "device", "output_type", "series", "dicom", "protect", "prior")
# Role of an image -> ending of its folder, and what its description begins with
ROLES = {"image": ("_dicom", "thin"), "sd": ("_dicom-sd", "SD of thin")}


def dicom_folders(image: Path) -> dict[str, Path]:
    """Return where the series of a result go, by their roles.

    Args:
        image: Name of the restored image.
    """
    return {role: image.with_name(stem(image) + ending) for role, (ending, _) in ROLES.items()}


def check_dicom(taken: Sequence[Taken], image: Path, *, force: bool) -> None:
    """Refuse, before any work is done, what cannot be written as DICOM.

    Args:
        taken: The scans of the run.
        image: Name of the restored image.
        force: Whether series that are there may be replaced.

    Raises:
        InputError: the first scan is no DICOM series, or a folder of results exists.
    """
    first = taken[0].series
    if first is None:
        message = (
            f"--dicom needs a DICOM series, {taken[0].path.name} is an image file: give "
            "the folder that it was converted from, or leave --dicom out"
        )
        raise InputError(message)
    check_source(first)
    for folder in dicom_folders(image).values():
        if folder.exists() and not force:
            message = f"{folder} exists already: give --force to replace it, or another folder"
            raise InputError(message)


def write_dicom(
    partial: Path, image: Path, result: Result, taken: Sequence[Taken], record: dict[str, Any]
) -> None:
    """Write a result as DICOM series, and note them in its record.

    Args:
        partial: Folder of the results while they are written.
        image: Name of the restored image.
        result: The result.
        taken: The scans of the run, the first one a DICOM series.
        record: The record of the run, complete but for these series.
    """
    sources = [one.series for one in taken if one.series is not None]
    facts = decisive_facts(record)
    written = {}
    for role, volume in (("image", result.volume), ("sd", result.sd)):
        if volume is None:
            continue
        folder = partial / dicom_folders(image)[role].name
        folder.mkdir()
        told = _told(role, sources[0], result)
        n = write_series(folder, volume, sources, told, [facts, role])
        written[role] = {"folder": folder.name, "instances": n}
    record["dicom_series"] = written


def remove_dicom(image: Path, record: dict[str, Any]) -> None:
    """Remove the series of an earlier result that the present one has not.

    Args:
        image: Name of the restored image.
        record: The record of the present run.
    """
    present = record.get("dicom_series", {})
    for role, folder in dicom_folders(image).items():
        if role not in present and folder.is_dir():
            shutil.rmtree(folder)


def decisive_facts(record: dict[str, Any]) -> dict[str, Any]:
    """Return what decides on the voxels of a result; names of files and folders do not.

    Args:
        record: The record of a run.
    """
    config = {k: v for k, v in record["config"].items() if k not in OTHER_CHOICES}
    masks = {role: facts["sha256"] for role, facts in record.get("masks", {}).items()}
    return {
        "version": record["GeneratedBy"][0]["Version"],
        "config": config,
        "inputs": [facts["sha256"] for facts in record["inputs"]],
        "masks": masks,
        "prior": record["prior_card"],
    }


def _told(role: str, source: Series, result: Result) -> Told:
    used, acquisition = result.solver_used, result.sources[0].acquisition
    spacing = acquisition.fine_spacing_mm[acquisition.slice_axis]
    n_slices = result.sources[0].scan.volume.grid.shape[acquisition.slice_axis]
    card = result.prior_card
    prior = "" if card is None else f", prior {card['name']} {card['version'] or ''}".rstrip()
    derivation = (
        f"Slices of {spacing:.3g} mm, restored from {n_slices} slices of "
        f"{acquisition.thickness_mm:.3g} mm every {acquisition.slice_spacing_mm:.4g} mm by "
        f"inversesr {version('inversesr')}, solver {used}{prior}. Research use only: not for "
        "diagnosis."
    )
    if role == "sd":
        derivation = f"Standard deviation of the expected error, in the image's unit. {derivation}"
    number = source.first.series_number
    return Told(
        FIRST_NUMBER + 2 * ((number or 0) % 500) + (role == "sd"),
        _description(role, source, spacing),
        derivation,
        _settings(result.config, used),
        version("inversesr"),
    )


def _description(role: str, source: Series, spacing: float) -> str:
    """Return the description of a series; that of its source is cut where both are too long."""
    start, end = f"{ROLES[role][1]} {spacing:.3g} mm", NOT_FOR_DIAGNOSIS
    room = LONGEST_NAME - len(start) - len(end) - 2
    middle = source.first.description[: max(room, 0)].strip()
    return " ".join(word for word in (start, middle, end) if word)


def _settings(config: Config, used: str) -> str:
    told = [f"solver={used}", f"prior={Path(config.prior).name}", f"seed={config.seed}"]
    told += [f"profile={config.profile}", *config.settings]
    return ", ".join(told)
