"""Diffusion-weighted series: a 4D image with the b-value and the direction of each volume.

`.bval` is one row of b-values in s/mm2. `.bvec` is three rows, x, y and z of unit vectors in the
axes of the image; x is mirrored where the determinant of the affine is positive. A new file with
the same axes in the same order, and a determinant of the same sign, takes both as they are.

Reference: Brain Imaging Data Structure 1.10, "Required gradient orientation information".
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.io.checks import check_memory, check_voxels, stem
from inversesr.io.faults import refuse_machine
from inversesr.io.nifti import Scan, read_scan
from inversesr.io.paths import from_home
from inversesr.io.source import opened
from inversesr.io.voxels import read_array

Array = NDArray[np.float64]

# Up to here a volume counts as without diffusion weighting: scanners write 0, 5 or 50.
B0_LIMIT = 50.0
# Vectors are written with few digits.
LENGTH_TOLERANCE = 0.1


@dataclass(frozen=True, eq=False)
class Gradients:
    """How each volume was weighted.

    Attributes:
        bvals: b-values in s/mm2, shape (n_volumes,).
        bvecs: Directions in the axes of the image, shape (n_volumes, 3); of length 1, or 0 where
            there is none.
    """

    bvals: Array
    bvecs: Array

    @property
    def is_b0(self) -> NDArray[np.bool_]:
        """Which volumes count as without diffusion weighting."""
        return np.asarray(self.bvals <= B0_LIMIT)

    @property
    def has_directions(self) -> bool:
        """Whether there are enough directions for a tensor: six, not all in one plane."""
        weighted = self.bvecs[~self.is_b0]
        pairs = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
        design = np.stack([weighted[:, i] * weighted[:, j] for i, j in pairs], axis=1)
        return len(weighted) >= 6 and int(np.linalg.matrix_rank(design, tol=1e-2)) == 6


@dataclass(frozen=True, eq=False)
class Series:
    """A 4D image as it was read.

    Attributes:
        scan: Its first volume, with what all volumes share: grid, header, sidecar.
        data: All volumes, float32, shape (n_volumes, X, Y, Z).
    """

    scan: Scan
    data: NDArray[np.float32]


def read_series(path: Path) -> Series:
    """Read a 4D image and check each of its volumes.

    Args:
        path: A NIfTI file.

    Raises:
        InputError: it is not a usable 4D image.
        MachineError: the machine cannot read it.
    """
    path = from_home(path)
    scan = read_scan(path, volume=0)
    with opened(path) as source:
        shape = tuple(int(n) for n in source.image.shape)
        if len(shape) != 4 or shape[3] < 2:
            message = (
                f"{path.name} is one 3D image {shape[:3]}; expected a 4D series of volumes with "
                "and without diffusion weighting: merge them first (`fslmerge -t`)"
            )
            raise InputError(message)
        check_memory(shape, source.image.get_data_dtype().itemsize, path.name)
        voxels, _ = read_array(source.image, path.name)
    data = np.ascontiguousarray(np.moveaxis(voxels, 3, 0))
    for n, volume in enumerate(data):
        check_voxels(volume, f"{path.name}, volume {n},", is_mask=False)
    return Series(scan, data)


def gradient_files(path: Path, bval: Path | None, bvec: Path | None) -> tuple[Path, Path]:
    """Return the files of b-values and directions: those named, or those beside the image.

    Args:
        path: Image file.
        bval: File of b-values; None for the one beside the image.
        bvec: File of directions; None for the one beside the image.

    Raises:
        InputError: one of them is not there.
    """
    found = []
    for given, ending in ((bval, "bval"), (bvec, "bvec")):
        file = path.with_name(f"{stem(path)}.{ending}") if given is None else from_home(given)
        if not file.is_file():
            where = file if given is not None else file.name
            message = (
                f"{where} does not exist: put it beside {path.name} (dcm2niix writes it where the "
                f"DICOM headers tell the weighting), or give --{ending} FILE"
            )
            raise InputError(message)
        found.append(file)
    return found[0], found[1]


def read_gradients(bval: Path, bvec: Path, n_volumes: int, label: str) -> Gradients:
    """Read b-values and directions, and check that they fit a series.

    Args:
        bval: File of b-values.
        bvec: File of directions, three rows, or three columns.
        n_volumes: Volumes of the series.
        label: What messages call it.

    Raises:
        InputError: they are no numbers, or do not fit the series.
    """
    bvals = _numbers(bval).ravel()
    if bvals.size != n_volumes:
        message = (
            f"{bval.name} has {bvals.size} b-values and {label} has {n_volumes} volumes; expected "
            "one a volume: give the files of one conversion"
        )
        raise InputError(message)
    bvecs = _numbers(bvec)
    if bvecs.shape == (3, n_volumes):
        bvecs = bvecs.T
    if bvecs.shape != (n_volumes, 3):
        message = (
            f"{bvec.name} has {bvecs.shape[0]} rows of {bvecs.shape[1]} numbers; expected 3 rows "
            f"of {n_volumes}: give the file of the same conversion"
        )
        raise InputError(message)
    _check_values(bvals, bvecs, bval.name, bvec.name)
    return Gradients(bvals, bvecs)


def _check_values(bvals: Array, bvecs: Array, bval: str, bvec: str) -> None:
    if bvals.min() < 0.0 or not np.isfinite(bvals).all():
        message = f"{bval} holds {bvals.min():g}; expected b-values of at least 0 s/mm2"
        raise InputError(message)
    is_b0 = bvals <= B0_LIMIT
    if not is_b0.any():
        message = (
            f"{bval} has no b-value up to {B0_LIMIT:g} s/mm2 (the least is {bvals.min():g}); "
            "expected a volume without diffusion weighting (b0), which the maps and the "
            "restoration are relative to: merge it with the series"
        )
        raise InputError(message)
    if is_b0.all():
        message = f"{bval} has no b-value above {B0_LIMIT:g} s/mm2: this is no diffusion series"
        raise InputError(message)
    lengths = np.linalg.norm(bvecs, axis=1)
    # a trace or mean image has no direction, which is told by zeros
    is_odd = ~is_b0 & (np.abs(lengths - 1.0) > LENGTH_TOLERANCE) & (lengths > 0.0)
    if is_odd.any() or not np.isfinite(lengths).all():
        n = int(np.flatnonzero(is_odd | ~np.isfinite(lengths))[0])
        message = (
            f"{bvec} has a vector of length {lengths[n]:.3g} for volume {n} (counted from 0); "
            "expected unit vectors: give the file of the same conversion"
        )
        raise InputError(message)


def _numbers(file: Path) -> Array:
    """Read rows of numbers, separated by blanks or commas."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        refuse_machine(file.name, error)
        raise
    rows = [line.replace(",", " ").split() for line in text.splitlines() if line.strip()]
    lengths = {len(row) for row in rows}
    try:
        if len(lengths) == 1:
            return np.array(rows, dtype=np.float64)
        fault = f"has rows of {sorted(lengths)} numbers" if rows else "is empty"
    except ValueError:
        fault = "holds text that is no number"
    message = f"{file.name} {fault}; expected rows of as many numbers as there are volumes"
    raise InputError(message)
