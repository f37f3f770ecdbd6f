"""An image as the slices of its source lay: rows, columns and order of slices as they were.

world = P_k + row * j * between_columns + column * i * between_rows     (i, j) row and column
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.io.dicom.geometry import RAS_FROM_LPS, Array
from inversesr.io.dicom.header import Frame, Instance
from inversesr.volume import Image, Volume

# Axes of a result are those of its source, to within rounding.
LEAST_COSINE = 0.999


@dataclass(frozen=True, eq=False)
class Planes:
    """Slices of an image, left-posterior-superior millimetres.

    Attributes:
        data: Intensities, shape (slices, rows, columns).
        positions: Centre of the first voxel of each slice, shape (slices, 3).
        row: Direction along a row.
        column: Direction along a column.
        spacing_mm: Distance between slices, rows and columns.
    """

    data: Image
    positions: Array
    row: Array
    column: Array
    spacing_mm: tuple[float, float, float]


def planes_of(volume: Volume, row: Array, column: Array, across: Array) -> Planes:
    """Return an image as slices in given directions.

    Args:
        volume: The image.
        row: Direction along a row of the source, left-posterior-superior.
        column: Direction along a column of it.
        across: Direction in which its slices follow one another.

    Raises:
        InputError: the image has other axes.
    """
    directions = RAS_FROM_LPS @ volume.grid.directions
    wanted = np.column_stack([across, column, row])
    cosines = directions.T @ wanted
    order = np.abs(cosines).argmax(axis=0)
    if sorted(order) != [0, 1, 2] or np.abs(cosines[order, range(3)]).min() < LEAST_COSINE:
        message = "the result has other axes than its DICOM series: write it as NIfTI only"
        raise InputError(message)
    data, affine = np.transpose(volume.data, order), volume.grid.affine[:, [*order, 3]]
    for axis in range(3):
        if cosines[order[axis], axis] < 0.0:
            affine[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
            affine[:3, axis] *= -1.0
            data = np.flip(data, axis)
    lps = RAS_FROM_LPS @ affine[:3]
    positions = lps[:, 3] + np.arange(data.shape[0])[:, None] * lps[:, 0]
    spacing = np.linalg.norm(lps[:, :3], axis=0)
    size = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
    return Planes(data, positions, lps[:, 2] / size[2], lps[:, 1] / size[1], size)


def directions_of(instances: tuple[Instance, ...]) -> tuple[Array, Array, Array]:
    """Return along what a source's rows, columns and slices run, slices by their numbers.

    Args:
        instances: Files of the source, by number.
    """
    frames = [frame for instance in instances for frame in instance.frames]
    row, column = np.array(frames[0].orientation, dtype=np.float64).reshape(2, 3)
    across = np.cross(row, column)
    way = _place(frames[-1]) - _place(frames[0])
    return row, column, -across if way @ across < 0.0 else across


def _place(frame: Frame) -> NDArray[np.float64]:
    return np.array(frame.position or (0.0, 0.0, 0.0), dtype=np.float64)
