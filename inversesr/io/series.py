"""4D files: a series of volumes in, a series of frames out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.io.checks import check_memory, check_shape, check_type, check_voxels, stem
from inversesr.io.header import find_place
from inversesr.io.nifti import Scan, to_image
from inversesr.io.paths import check_path, from_home
from inversesr.io.sidecar import read_sidecar
from inversesr.io.source import opened
from inversesr.io.voxels import read_array
from inversesr.volume import Grid, Image, Volume

SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
LEAST_VOLUMES = 2


@dataclass(frozen=True, eq=False)
class Series:
    """A series as it was read.

    Attributes:
        y: Its volumes, float32, shape (n_volumes, *scan.volume.grid.shape).
        scan: The mean of the volumes, with what the file says of itself.
        header_tr_s: Time between volumes by the header, in seconds; 0 where it is not stated.
        header_times_s: Times of the slices by the header, or None.
    """

    y: Image
    scan: Scan
    header_tr_s: float
    header_times_s: tuple[float, ...] | None


def read_series(path: Path) -> Series:
    """Read a 4D file and the BIDS sidecars that hold for it.

    Args:
        path: A NIfTI file.

    Raises:
        InputError: the file is missing, unreadable, damaged or no series of usable volumes.
        MachineError: the machine cannot read it.
    """
    path = from_home(path)
    check_path(path)
    sidecar, label = read_sidecar(path), path.name
    with opened(path) as source:
        image = source.image
        shape, n = _shape_of(image, label)
        check_type(image, label)
        place = find_place(image, shape, label, None, source.header)
        check_memory(image.shape, image.get_data_dtype().itemsize + 4, label)
        voxels, notes = read_array(image, label)
        tr, times = _times_of(image)
    y = np.ascontiguousarray(np.moveaxis(voxels.reshape(*shape, n), -1, 0))
    check_voxels(y, label, is_mask=False)
    warnings = (*source.notes, *place.warnings, *notes, *sidecar.warnings)
    mean = Volume(y.mean(axis=0, dtype=np.float64).astype(np.float32), Grid(shape, place.affine))
    scan = Scan(mean, place.header, stem(path), _slice_axis(image), sidecar.content, warnings)
    return Series(y, scan, tr, times)


def _shape_of(image: Any, label: str) -> tuple[tuple[int, int, int], int]:  # noqa: ANN401
    """Return the shape of a volume and the number of volumes.

    Raises:
        InputError: there are not several volumes in time.
    """
    full = tuple(int(n) for n in image.shape)
    while len(full) > 4 and full[-1] == 1:
        full = full[:-1]
    if len(full) < 4 or (len(full) == 4 and full[3] < LEAST_VOLUMES):
        message = (
            f"{label} has shape {full}, one volume; expected a 4D series of at least "
            f"{LEAST_VOLUMES}: restore one volume with `inversesr run`"
        )
        raise InputError(message)
    if len(full) > 4:
        message = f"{label} is {len(full)}D {full}; expected a 4D series: cut one out of it"
        raise InputError(message)
    return check_shape(full, label, 0)[0], full[3]


def _times_of(image: Any) -> tuple[float, tuple[float, ...] | None]:  # noqa: ANN401
    """Return the time between volumes and those of slices by the header, in seconds."""
    zooms = image.header.get_zooms()
    if not isinstance(image, nibabel.Nifti1Pair) or len(zooms) < 4:
        return 0.0, None
    try:
        scale = SECONDS.get(image.header.get_xyzt_units()[1], 1.0)
    except KeyError:
        scale = 1.0
    tr = float(zooms[3])
    tr = tr * scale if np.isfinite(tr) else 0.0
    try:
        times = tuple(scale * float(t) for t in image.header.get_slice_times())
    except (HeaderDataError, TypeError, ValueError):
        return tr, None
    return tr, times if len(set(times)) > 1 else None


def _slice_axis(image: Any) -> int | None:  # noqa: ANN401
    if not isinstance(image, nibabel.Nifti1Pair):
        return None
    axis = image.header.get_dim_info()[2]
    return None if axis is None else int(axis)


def write_series(
    path: Path, frames: NDArray[np.float32], fine: Grid, source: Scan, tr: float
) -> None:
    """Write frames as a 4D NIfTI in the world of the series they were made from.

    Args:
        path: File to write.
        frames: Images, shape (*fine.shape, n_frames); may lie on a disk.
        fine: Their voxels.
        source: The series.
        tr: Time between frames, in seconds.
    """
    first = to_image(Volume(np.ascontiguousarray(frames[..., 0]), fine), source)
    header = first.header.copy()
    header.set_data_shape(frames.shape)
    header.set_zooms((*fine.spacing_mm, tr))
    header.set_xyzt_units(xyz=source.header.spatial_unit, t="sec")
    image = type(first)(frames, None, header)
    image.header.set_sform(*first.header.get_sform(coded=True))
    image.header.set_qform(*first.header.get_qform(coded=True))
    image.header.set_zooms((*fine.spacing_mm, tr))
    nibabel.save(image, path)


def read_motion(path: Path, n_volumes: int) -> NDArray[np.float64]:
    """Read the motion of a head: six numbers a volume.

    Args:
        path: Text with a line a volume: shift along x, y and z in mm, then rotation about x, y and
            z in radians, as in the files rp_*.txt of SPM; separated by spaces, tabs or commas.
        n_volumes: Number of volumes.

    Returns:
        The numbers, shape (n_volumes, 6).

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    rows = read_numbers(path)
    widths = {len(row) for row in rows}
    if widths != {6} or len(rows) != n_volumes:
        found = f"{len(rows)} lines of {' or '.join(map(str, sorted(widths)))} numbers"
        message = (
            f"{path.name} holds {found}; expected {n_volumes} lines, one a volume, of 6 numbers: "
            "shift in mm along x, y, z, then rotation in radians about x, y, z"
        )
        raise InputError(message)
    motion = np.array(rows)
    if np.abs(motion[:, 3:]).max() > 1.0:
        message = (
            f"{path.name} has rotations of up to {np.abs(motion[:, 3:]).max():.3g} radians in its "
            "last three columns; expected less than 1: they may be in degrees, or come first"
        )
        raise InputError(message)
    return motion


def read_numbers(path: Path) -> Sequence[list[float]]:
    """Read lines of finite numbers, separated by spaces, tabs or commas.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    path = from_home(path)
    if not path.is_file():
        message = f"{path} does not exist or is no file: give a text file of numbers"
        raise InputError(message)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [[float(word) for word in line.replace(",", " ").split()] for line in lines]
    except ValueError as error:
        message = f"{path.name} holds what is no number; expected text of numbers only"
        raise InputError(message) from error
    rows = [row for row in rows if row]
    if not rows or not np.isfinite([number for row in rows for number in row]).all():
        message = f"{path.name} holds no numbers, or some that are not finite"
        raise InputError(message)
    return rows
