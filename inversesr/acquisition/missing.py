"""Slices that are missing from a stack: named, or known from positions that leave a hole.

The stack keeps its regular grid, and only the slices that were measured are data:

    y = S A x,      S selects the rows of slices that are there

Slices are counted from 0 in the order of the file.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.interpolate import CubicSpline

from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.operators.slice_profile import Array
from inversesr.volume import Grid, Image, Volume

# In a sidecar, such as that of a series of DICOM whose positions leave holes.
KEY = "MissingSlices"
LEAST_MEASURED = 3
EXPECTED = "numbers of slices, counted from 0, such as 4 or 4,7-9"


def missing_slices(scan: Scan, config: Config) -> tuple[int, ...]:
    """Return the slices that the sidecar and the options say are missing, in order.

    Raises:
        InputError: what they say are no numbers of slices.
    """
    stated = scan.sidecar.get(KEY, [])
    is_list = isinstance(stated, list) and all(type(n) is int and n >= 0 for n in stated)
    if not is_list:
        message = (
            f"{scan.name}: the sidecar's {KEY} is {ascii(stated)[:20]}; expected a list of "
            "numbers of slices, counted from 0: correct the sidecar"
        )
        raise InputError(message)
    named = () if config.missing is None else parse_slices(config.missing, "--missing")
    return tuple(sorted({*stated, *named}))


def parse_slices(text: str, name: str) -> tuple[int, ...]:
    """Return the slices that a text such as "4,7-9" names, in order.

    Args:
        text: Numbers and ranges, parted by commas.
        name: The option, for the error message.

    Raises:
        InputError: it names no slices.
    """
    found: set[int] = set()
    for part in text.split(","):
        edges = part.strip().split("-")
        is_number = all(n.isascii() and n.isdigit() and len(n) < 6 for n in edges)
        if not is_number or len(edges) > 2 or int(edges[-1]) < int(edges[0]):
            message = f"{name} is {text!r}; expected {EXPECTED}"
            raise InputError(message)
        found.update(range(int(edges[0]), int(edges[-1]) + 1))
    return tuple(sorted(found))


def check_missing(missing: Sequence[int], n_slices: int, name: str) -> None:
    """Refuse slices that do not exist, and a stack of which too little is left.

    Args:
        missing: The slices.
        n_slices: Number of slices of the stack.
        name: The scan.

    Raises:
        InputError: they do not fit the stack.
    """
    beyond = [n for n in missing if n >= n_slices]
    if beyond:
        message = (
            f"slice {beyond[0]} is to be missing and {name} has slices 0 to {n_slices - 1}: "
            "name slices of the stack, counted from 0"
        )
        raise InputError(message)
    n_left = n_slices - len(set(missing))
    if n_left < LEAST_MEASURED:
        message = (
            f"{len(set(missing))} of {n_slices} slices of {name} are missing; expected at least "
            f"{LEAST_MEASURED} measured ones"
        )
        raise InputError(message)


def named_slices(missing: Sequence[int]) -> str:
    """Return slices in words, such as "slices 4 and 7-9"."""
    edges = [0, *(k + 1 for k, (a, b) in enumerate(pairwise(missing)) if b != a + 1), len(missing)]
    runs = [missing[a:b] for a, b in pairwise(edges)]
    words = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    told = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"slice{'' if len(missing) == 1 else 's'} {told}"


def warning_of(missing: Sequence[int]) -> str:
    """Return what a reader of the result must know, as a sentence."""
    is_one = len(missing) == 1
    return (
        f"{named_slices(missing)} (counted from 0) {'is' if is_one else 'are'} missing from the "
        f"scan: what stands there in the result was generated, not measured"
    )


def measured(data: Image, slice_axis: int, missing: Sequence[int]) -> Image:
    """Return the slices that were measured, next to each other."""
    return np.delete(data, list(missing), axis=slice_axis) if missing else data


def measured_volume(volume: Volume, slice_axis: int, missing: Sequence[int]) -> Volume:
    """Return the measured slices as an image, to be judged by what lies within slices."""
    if not missing:
        return volume
    data = np.ascontiguousarray(measured(volume.data, slice_axis, missing))
    x, y, z = data.shape
    return Volume(data, Grid((x, y, z), volume.grid.affine))


def put_back(data: Image, slice_axis: int, missing: Sequence[int]) -> Image:
    """Return slices in their places, zero where they are missing: the adjoint of `measured`."""
    n = data.shape[slice_axis] + len(missing)
    shape = [*data.shape[:slice_axis], n, *data.shape[slice_axis + 1 :]]
    full = np.zeros(shape, dtype=data.dtype)
    places = [slice(None)] * 3
    kept: list[slice | list[int]] = [*places]
    kept[slice_axis] = [k for k in range(n) if k not in set(missing)]
    full[tuple(kept)] = data
    return full


def filling_matrix(n_slices: int, missing: Sequence[int]) -> Array:
    """Return the natural cubic spline through measured slices at the places of all.

    Beyond the outermost measured slice its value is kept.

    Args:
        n_slices: Number of slices of the stack.
        missing: Those that are missing.

    Returns:
        Matrix of shape (n_slices, n_slices - n_missing), the identity in the measured rows.
    """
    places = np.delete(np.arange(n_slices, dtype=np.float64), list(missing))
    through_units = CubicSpline(places, np.eye(len(places)), bc_type="natural")
    inside = np.clip(np.arange(n_slices), places[0], places[-1])
    return np.asarray(through_units(inside), dtype=np.float64)


def filled_volume(volume: Volume, slice_axis: int, missing: Sequence[int]) -> Volume:
    """Return an image whose missing slices are interpolated between the others."""
    if not missing:
        return volume
    matrix = filling_matrix(volume.grid.shape[slice_axis], missing)
    seen = np.moveaxis(measured(volume.data, slice_axis, missing), slice_axis, -1)
    return volume.with_data(np.ascontiguousarray(np.moveaxis(seen @ matrix.T, -1, slice_axis)))


def generated_share(n_slices: int, n_fine: int, missing: Sequence[int]) -> Array:
    """Return which share of each fine voxel lies in the place of a missing slice.

    Args:
        n_slices: Number of slices of the stack.
        n_fine: Number of fine voxels that cover the same length.
        missing: Slices that are missing.

    Returns:
        Shares from 0 to 1, shape (n_fine,).
    """
    edges = np.arange(n_fine + 1, dtype=np.float64) * n_slices / n_fine
    share = np.zeros(n_fine)
    for k in missing:
        share += np.clip(np.minimum(edges[1:], k + 1) - np.maximum(edges[:-1], k), 0.0, None)
    return np.asarray(np.clip(share * n_fine / n_slices, 0.0, 1.0))
