"""K-space in MATLAB's files: arrays by name, of version 5 to 7.2, or 7.3, which is HDF5."""

from pathlib import Path
from typing import Any

import numpy as np

from inversesr.errors import InputError
from inversesr.io.kspace.record import RawKSpace

KSPACE_NAMES = ("kspace", "ksp", "kdata", "rawdata", "data", "mask", "maps")
# MATLAB says nothing about its axes; with two there is no doubt
AXES = {2: "xy"}
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
SIGNATURE_PLACE = 512


def load(path: Path) -> RawKSpace:
    """Return what a file holds; see `formats.Reader`."""
    arrays = read_hdf5(path) if is_hdf5(path) else read_version_5(path)
    names = {name.lower(): name for name in arrays}
    name = next((names[n] for n in KSPACE_NAMES if n in names), None)
    if name is None:
        complex_ones = [n for n, a in arrays.items() if np.iscomplexobj(a)]
        numbers = complex_ones or [n for n, a in arrays.items() if a.size > 1]
        if len(numbers) != 1:
            message = (
                f"{path.name} holds {', '.join(arrays) or 'no arrays'}; expected one array of "
                "complex numbers, or one named kspace"
            )
            raise InputError(message)
        name = numbers[0]
    mask = arrays[names["mask"]] if "mask" in names and names["mask"] != name else None
    noise = arrays[names["noise"]] if "noise" in names else None
    return RawKSpace(arrays[name], AXES.get(arrays[name].ndim), mask, noise)


def is_hdf5(path: Path) -> bool:
    """Whether a file is of version 7.3."""
    with path.open("rb") as file:
        head = file.read(SIGNATURE_PLACE + len(HDF5_SIGNATURE))
    return HDF5_SIGNATURE in (head[: len(HDF5_SIGNATURE)], head[SIGNATURE_PLACE:])


def read_version_5(path: Path) -> dict[str, Any]:
    """Return the arrays of numbers of a file up to version 7.2."""
    from scipy.io import loadmat

    found = loadmat(path)
    return {
        name: np.asarray(value)
        for name, value in found.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "bfciu"
    }


def read_hdf5(path: Path) -> dict[str, Any]:
    """Return the arrays of numbers of a file of version 7.3, in MATLAB's order of axes."""
    import h5py

    arrays: dict[str, Any] = {}
    with h5py.File(path, "r") as file:
        for name, item in file.items():
            if not isinstance(item, h5py.Dataset):
                continue
            value = item[()]
            if value.dtype.names == ("real", "imag"):
                value = value["real"] + 1j * value["imag"]
            if value.dtype.kind in "bfciu":
                arrays[name] = value.T
    return arrays
