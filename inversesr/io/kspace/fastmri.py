"""K-space of fastMRI: kspace of shape (slices, coils, x, y), mask along y, and a header.

Reference: Zbontar et al. (2018), fastMRI: an open dataset and benchmarks for accelerated MRI,
arXiv:1811.08839.
"""

from typing import Any

import numpy as np

from inversesr.errors import InputError
from inversesr.io.kspace.header import Header, parse_header
from inversesr.io.kspace.record import RawKSpace
from inversesr.volume import Grid

AXES = {3: "sxy", 4: "scxy"}


def read(file: Any, label: str) -> RawKSpace:  # noqa: ANN401  (an open h5py file)
    """Return what an open file holds.

    Raises:
        InputError: the array has other axes, or the header cannot be read.
    """
    array = file["kspace"][()]
    if array.ndim not in AXES:
        message = (
            f"kspace of {label} has {array.ndim} axes {array.shape}; expected slices, coils, x, "
            "y, or slices, x, y"
        )
        raise InputError(message)
    mask = np.asarray(file["mask"][()]) if "mask" in file else None
    if "ismrmrd_header" not in file:
        return RawKSpace(array, AXES[array.ndim], mask)
    header = parse_header(file["ismrmrd_header"][()], label)
    n_slices = len(array)
    shape = (*header.wanted.shape[:2], n_slices)
    return RawKSpace(
        array,
        AXES[array.ndim],
        mask,
        grid=grid_of(header, shape),
        image_shape=shape,
        warnings=(
            "where the slices lie is not in the file: the image has its voxel sizes, but no place",
        ),
    )


def grid_of(header: Header, shape: tuple[int, int, int]) -> Grid:
    """Return voxels of the right size about the origin."""
    wanted = header.wanted
    spacing = [field / n for field, n in zip(wanted.field_mm, wanted.shape, strict=True)]
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [-s * (n - 1) / 2.0 for s, n in zip(spacing, shape, strict=True)]
    return Grid(shape, affine)
