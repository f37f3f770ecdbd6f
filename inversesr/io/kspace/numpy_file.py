"""K-space in NumPy's files: an array (.npy), or named arrays (.npz).

Names in .npz: kspace, and if there are mask, axes (a text), noise, maps, affine.
"""

from pathlib import Path
from typing import Any

import numpy as np

from inversesr.errors import InputError
from inversesr.io.kspace.record import RawKSpace
from inversesr.volume import Grid

# axes by their number, coils first as sigpy and mrpro have them
AXES = {2: "xy", 3: "cxy", 4: "cxyz"}
NAMES = ("kspace", "ksp", "data", "mask", "maps")


def load(path: Path) -> RawKSpace:
    """Return what a file holds; see `formats.Reader`."""
    found = np.load(path, allow_pickle=False)
    if isinstance(found, np.ndarray):
        return RawKSpace(found, AXES.get(found.ndim))
    with found as archive:
        arrays: dict[str, Any] = {name: archive[name] for name in archive.files}
    name = next((n for n in NAMES if n in arrays), None)
    if name is None and len(arrays) == 1:
        name = next(iter(arrays))
    if name is None:
        message = (
            f"{path.name} holds {', '.join(arrays) or 'nothing'}; expected an array named kspace"
        )
        raise InputError(message)
    array = np.asarray(arrays[name])
    axes = str(arrays["axes"]) if "axes" in arrays else AXES.get(array.ndim)
    return RawKSpace(
        array,
        axes,
        arrays.get("mask"),
        arrays.get("noise"),
        arrays.get("maps") if name != "maps" else None,
        grid_in(arrays, array, axes),
    )


def grid_in(arrays: dict[str, Any], array: Any, axes: str | None) -> Grid | None:  # noqa: ANN401
    """Return where the voxels lie, if the file has an affine of shape (4, 4)."""
    affine = arrays.get("affine")
    if affine is None or axes is None or np.shape(affine) != (4, 4):
        return None
    sides = dict(zip(axes, array.shape, strict=False))
    shape = (sides.get("x", 1), sides.get("y", 1), sides.get("z", sides.get("s", 1)))
    return Grid(shape, np.asarray(affine, dtype=np.float64))
