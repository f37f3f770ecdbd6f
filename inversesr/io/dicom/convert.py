"""Converts one series to an image, by dcm2niix, and compares where that placed its slices.

The world of the image is that of the slices' positions. dcm2niix takes the distance of the first
two slices for that of all: positions that are rounded to 0.1 mm displace the last slice by more
than a millimetre.

Reference: Li et al., "The first step for neuroimaging data analysis: DICOM to NIfTI conversion",
J Neurosci Methods 264 (2016), doi:10.1016/j.jneumeth.2016.03.001.
"""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from inversesr.errors import InputError, MachineError
from inversesr.io.dicom.geometry import Layout
from inversesr.io.dicom.header import Instance
from inversesr.io.dicom.holes import INTERPOLATED, with_holes
from inversesr.io.dicom.series import Series
from inversesr.io.json_text import parse_json
from inversesr.volume import Affine, Grid

# In the same place: no place, no crop, no turn of 3D scans; no file of defaults is read.
OPTIONS = ("-b", "y", "-ba", "y", "-z", "n", "-x", "i", "-d", "0", "-w", "1", "-g", "i")
NAME = "converted"
LONGEST_SECONDS = 900.0
SAME_PLACE_MM, TOLD_MM = 0.01, 0.1
SCANNER = 1  # NIfTI's code of scanner coordinates
HEADER_BYTES = 348  # of NIfTI-1


@dataclass(frozen=True, eq=False)
class Converted:
    """A series as an image.

    Attributes:
        path: NIfTI file, its voxels as dcm2niix stores them, in the world of the positions.
        facts: What dcm2niix says of the series.
        notes: What is odd about it, in words that follow the series' name.
    """

    path: Path
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()


def convert(series: Series, scratch: Path) -> Converted:
    """Convert a series.

    Args:
        series: A usable series.
        scratch: An empty folder.

    Raises:
        InputError: it cannot be converted, or to several images.
        MachineError: dcm2niix is not installed, or the machine is at fault.
    """
    source, target = scratch / "dicom", scratch / "nifti"
    source.mkdir()
    target.mkdir()
    _gather(series.instances, source)
    _run(source, target, series)
    images = sorted(target.glob("*.nii"))
    if series.layout is not None and series.layout.missing:
        images = [image for image in images if INTERPOLATED not in image.name]
    if len(images) != 1:
        n = "no image" if not images else f"{len(images)} images"
        message = (
            f"{series.label} is converted to {n} by dcm2niix; expected one: its slices are "
            "damaged, or of several images"
        )
        raise InputError(message)
    path = images[0]
    facts = _facts(path.with_suffix(".json"))
    if series.layout is None:
        return Converted(path, facts)
    if series.layout.missing:
        facts = facts | {"MissingSlices": with_holes(path, series.layout)}
    affine, note = _placed(nibabel.load(path), series.layout, series)
    _place(path, affine)
    return Converted(path, facts, note)


def _facts(sidecar: Path) -> dict[str, Any]:
    """Return what dcm2niix says of a series; nothing where a damaged header made that no JSON."""
    try:
        facts, _ = parse_json(sidecar.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def find_converter() -> str | None:
    """Return the program dcm2niix, of its Python package or of the system; None without one."""
    try:
        import dcm2niix
    except ImportError:
        return shutil.which("dcm2niix")
    return str(dcm2niix.bin)


def _gather(instances: Sequence[Instance], folder: Path) -> None:
    """Put the files of a series into a folder of their own, under numbers."""
    for n, instance in enumerate(instances):
        place = folder / f"{n:06d}.dcm"
        try:
            place.symlink_to(instance.path.resolve())
        except OSError:
            shutil.copyfile(instance.path, place)


def _run(source: Path, target: Path, series: Series) -> None:
    program = find_converter()
    if program is None:
        message = "dcm2niix is not installed: `pip install dcm2niix`"
        raise MachineError(message)
    command = [program, *OPTIONS, "-f", NAME, "-o", str(target), str(source)]
    try:
        # what it prints names the patient's files: it is not shown
        ended = subprocess.run(command, capture_output=True, timeout=LONGEST_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        message = f"{series.label} is not converted after {LONGEST_SECONDS:.0f} s by dcm2niix"
        raise InputError(message) from error
    if ended.returncode < 0:
        message = (
            f"{series.label} makes dcm2niix crash (signal {-ended.returncode}): it is damaged"
        )
        raise InputError(message)


def _placed(image: Any, layout: Layout, series: Series) -> tuple[Affine, tuple[str, ...]]:  # noqa: ANN401
    """Return the affine of the positions in the order of an image's voxels, and what differs."""
    own = Grid(layout.shape, layout.affine)
    found = Grid(tuple(image.shape[:3]), np.asarray(image.affine, dtype=np.float64))
    if found.shape != own.shape:
        message = f"{series.label} is not converted to its {layout.shape} voxels: it is damaged"
        raise InputError(message)
    flipped = [_flipped(own, flips) for flips in product((False, True), repeat=3)]
    nearest = min(flipped, key=found.farthest_mm)
    apart = found.farthest_mm(nearest)
    if apart <= SAME_PLACE_MM:
        return found.affine, ()
    if np.min(np.sum(found.directions * nearest.directions, axis=0)) < 0.99:
        message = (
            f"{series.label} lies elsewhere by dcm2niix than by the positions of its slices, by "
            f"{apart:.3g} mm: its header contradicts itself"
        )
        raise InputError(message)
    note = (
        f"lies up to {apart:.2g} mm from where dcm2niix puts it: the positions of all slices are "
        "followed, not the distance of the first two"
    )
    return nearest.affine, (note,) if apart > TOLD_MM else ()


def _flipped(grid: Grid, flips: Sequence[bool]) -> Grid:
    """Return a lattice whose axes run the other way where asked."""
    affine = grid.affine.copy()
    for axis, is_flipped in enumerate(flips):
        if is_flipped:
            affine[:3, 3] += affine[:3, axis] * (grid.shape[axis] - 1)
            affine[:3, axis] *= -1.0
    return Grid(grid.shape, affine)


def _place(path: Path, affine: Affine) -> None:
    """Give an uncompressed NIfTI file another place; its stored voxels stay as they are."""
    content = path.read_bytes()
    header = nibabel.Nifti1Header(content[:HEADER_BYTES], check=False)
    header.set_sform(affine, SCANNER)
    header.set_qform(affine, SCANNER)
    path.write_bytes(header.binaryblock + content[HEADER_BYTES:])
