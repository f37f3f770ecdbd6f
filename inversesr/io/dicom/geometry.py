"""Where the slices of a series lie, by their positions, and what is wrong with that.

    distance_k = normal . position_k        normal = row x column, left-posterior-superior mm

The distance between slices is that of their positions, never Spacing Between Slices: some scanners
write the gap there, or nothing sensible.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inversesr.io.dicom.header import Frame, Instance
from inversesr.volume import Affine

Array = NDArray[np.float64]
LEAST_SLICES = 3
# Slices nearer to each other than this lie at one place.
SAME_PLACE_MM = 0.01
# Directions that differ by less are the same: cosines are rounded.
SAME_DIRECTION_DEGREES = 0.1
# Positions are rounded to 0.1 mm by some scanners; a share of a step that is rounding, too.
ROUNDING_MM, ROUNDING_SHARE = 0.15, 0.02
# A stack that slants by more than both is sheared.
SHEAR_DEGREES, SHEAR_MM = 0.2, 0.5
# NIfTI's world runs to the right and front.
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0])
PLANES = ("sagittal", "coronal", "axial")
MOST_NAMED = 3
# A stack with more slices lost than this share of those there, or with a longer hole, is no stack.
LARGEST_LOST_SHARE, LARGEST_HOLE_MM = 0.5, 30.0


@dataclass(frozen=True, eq=False)
class Layout:
    """The lattice on which the slices of a series lie.

    Attributes:
        shape: Columns, rows and slices.
        affine: World from (column, row, slice), right-anterior-superior millimetres, slices in
            the order of the instances' direction along the normal.
        spacing_mm: Distance between columns, rows and slices.
        thickness_mm: Slice thickness as stated, or None.
        plane: "axial", "coronal" or "sagittal".
        n_volumes: How often each position occurs.
        missing: Slices of the lattice at whose positions there is none, counted from 0.
    """

    shape: tuple[int, int, int]
    affine: Affine
    spacing_mm: tuple[float, float, float]
    thickness_mm: float | None
    plane: str
    n_volumes: int
    missing: tuple[int, ...] = ()


def find_layout(instances: Sequence[Instance]) -> tuple[Layout | None, str]:
    """Return how the slices of instances lie, or what is wrong with that.

    Args:
        instances: Files of one image, none of them a mosaic.

    Returns:
        The layout and nothing, or nothing and the fault, in words that follow the series' name.
    """
    frames = [frame for instance in instances for frame in instance.frames]
    fault = _odd_one_out(instances, frames)
    if fault:
        return None, fault
    row, column = _directions(frames)
    normal = np.cross(row, column)
    positions = np.array([frame.position for frame in frames], dtype=np.float64)
    distances = positions @ normal
    order = np.argsort(distances, kind="stable")
    places = _places(distances[order])
    n_each = np.array([len(place) for place in places])
    n_volumes = int(n_each.max())
    at = np.array([distances[order][place].mean() for place in places])
    numbers = numbers_of(at)
    fault = _uneven(at, numbers) or _doubled(n_each, at)
    if fault:
        return None, fault
    n_slices = int(numbers[-1]) + 1
    missing = tuple(sorted({*range(n_slices)} - {*numbers.tolist()}))
    if missing and n_volumes > 1:
        return None, _missing(at, np.diff(numbers))
    step = float((at[-1] - at[0]) / (n_slices - 1))
    firsts = positions[order][[place[0] for place in places]]
    fault = _sheared(firsts, normal)
    if fault:
        return None, fault
    first = frames[int(order[0])]
    layout = _layout(instances[0], first, (row, column, normal), step, (n_slices, n_volumes))
    return replace(layout, missing=missing), ""


def _layout(
    instance: Instance,
    first: Frame,
    axes: tuple[Array, Array, Array],
    step: float,
    n: tuple[int, int],
) -> Layout:
    rows, columns = instance.shape
    between_rows, between_columns = first.spacing or (1.0, 1.0)
    row, column, normal = axes
    spacing = (between_columns, between_rows, step)
    affine = np.eye(4)
    affine[:3, :3] = RAS_FROM_LPS @ np.column_stack([row, column, normal]) * np.array(spacing)
    affine[:3, 3] = RAS_FROM_LPS @ np.array(first.position)
    n_slices, n_volumes = n
    plane = PLANES[int(np.argmax(np.abs(normal)))]
    thickness = first.thickness if first.thickness and first.thickness > 0.0 else None
    return Layout((columns, rows, n_slices), affine, spacing, thickness, plane, n_volumes)


def plane_of(frame: Frame) -> str:
    """Return the plane in which a slice lies; empty where it is not stated."""
    if frame.orientation is None:
        return ""
    row, column = _directions([frame])
    return PLANES[int(np.argmax(np.abs(np.cross(row, column))))]


def n_orientations(frames: Sequence[Frame]) -> int:
    """Return in how many planes slices lie, to within rounding."""
    found: list[Array] = []
    for frame in frames:
        if frame.orientation is None:
            continue
        axes = np.array(frame.orientation)
        if all(_angle(axes, other) > SAME_DIRECTION_DEGREES for other in found):
            found.append(axes)
    return len(found)


def _angle(a: Array, b: Array) -> float:
    """Return by how many degrees the rows, or the columns, of two slices differ."""
    cosines = [float(np.dot(a[part], b[part])) for part in (slice(0, 3), slice(3, 6))]
    return float(np.degrees(np.arccos(np.clip(min(cosines), -1.0, 1.0))))


def _directions(frames: Sequence[Frame]) -> tuple[Array, Array]:
    """Return unit vectors along a row and a column, at right angles."""
    row, column = np.array(frames[0].orientation, dtype=np.float64).reshape(2, 3)
    row = row / np.linalg.norm(row)
    column = column - row * (row @ column)
    return row, column / np.linalg.norm(column)


def _odd_one_out(instances: Sequence[Instance], frames: Sequence[Frame]) -> str:
    """Return what keeps slices from making up one image."""
    if not frames or any(f.position is None or f.orientation is None for f in frames):
        return "does not state where its slices lie: it cannot be placed in the world"
    if any(f.spacing is None or min(f.spacing) <= 0.0 for f in frames):
        return "does not state the size of its voxels (Pixel Spacing)"
    if not all(_is_direction(f) for f in frames):
        return "states an orientation of its slices that is none"
    return _mixed(instances, frames)


def _mixed(instances: Sequence[Instance], frames: Sequence[Frame]) -> str:
    """Return in what slices differ that are to make up one image."""
    sizes = {instance.shape for instance in instances}
    if len(sizes) > 1:
        told = " and ".join(f"{columns} x {rows}" for rows, columns in sorted(sizes)[:MOST_NAMED])
        return f"has slices of different size ({told} voxels): they make up no image"
    spacings = np.array([f.spacing for f in frames])
    if (np.ptp(spacings, axis=0) > 1e-3 * spacings.min(axis=0)).any():
        return "has slices with voxels of different size: they make up no image"
    n = n_orientations(frames)
    if n > 1:
        return f"has slices in {n} orientations: they make up no image"
    return ""


def _is_direction(frame: Frame) -> bool:
    axes = np.array(frame.orientation, dtype=np.float64).reshape(2, 3)
    lengths = np.linalg.norm(axes, axis=1)
    return bool(np.all(np.abs(lengths - 1.0) < 0.01) and abs(axes[0] @ axes[1]) < 0.01)


def _places(distances: Array) -> list[NDArray[np.intp]]:
    """Return the indices of slices at one place, place by place, of sorted distances."""
    cuts = np.flatnonzero(np.diff(distances) > SAME_PLACE_MM) + 1
    return list(np.split(np.arange(len(distances)), cuts))


def _doubled(n_each: NDArray[np.intp], at: Array) -> str:
    """Return which slices occur more often than others."""
    usual = int(np.median(n_each))
    if (n_each == n_each[0]).all():
        return ""
    more, fewer = np.flatnonzero(n_each > usual), np.flatnonzero(n_each < usual)
    if len(more) and usual == 1:
        return (
            f"has {_some(more, at)} more than once: remove the copies, or the part of another "
            "image among them"
        )
    odd = fewer if len(fewer) else more
    return f"is a 4D series of which {_some(odd, at)} not as often as the others: send it again"


def _some(which: NDArray[np.intp], at: Array) -> str:
    """Name slices by their number from the bottom of the stack and their distance."""
    named = ", ".join(f"{k + 1} (at {at[k]:.1f} mm)" for k in which[:MOST_NAMED])
    rest = f" and {len(which) - MOST_NAMED} more" if len(which) > MOST_NAMED else ""
    one = len(which) == 1
    return f"slice{'' if one else 's'} {named}{rest}"


def numbers_of(at: Array) -> NDArray[np.intp]:
    """Return the number of each position on the lattice that the nearest neighbours make.

    Args:
        at: Distances of the slices along the normal, ascending.
    """
    steps = np.diff(at)
    if not steps.size:
        return np.zeros(len(at), dtype=np.intp)
    near = float(np.median(steps[steps <= 1.5 * steps.min()]))
    gaps = np.round(steps / near)
    # the step once more, by all of them: rounded positions add up over a long stack
    near = float(steps.sum() / gaps.sum())
    return np.concatenate([[0], np.cumsum(np.round(steps / near))]).astype(np.intp)


def _uneven(at: Array, numbers: NDArray[np.intp]) -> str:
    """Return that too many slices are missing, or that they lie on no lattice."""
    if len(at) < LEAST_SLICES:
        n = "one slice" if len(at) == 1 else f"{len(at)} slices"
        return f"has {n}; expected at least {LEAST_SLICES}: send the whole series"
    steps, ratio = np.diff(at), np.diff(numbers)
    usual = (at[-1] - at[0]) / max(int(numbers[-1]), 1)
    allowed = max(ROUNDING_MM, ROUNDING_SHARE * usual)
    line = at[0] + numbers * usual
    if np.abs(steps - ratio * usual).max() <= 2.0 * allowed and np.abs(at - line).max() <= allowed:
        n_lost, longest = int((ratio - 1).sum()), float((ratio.max() - 1) * usual)
        is_whole = n_lost == 0
        is_usable = n_lost <= LARGEST_LOST_SHARE * len(at) and longest <= LARGEST_HOLE_MM
        return "" if is_whole or is_usable else _missing(at, ratio)
    return (
        f"has unevenly spaced slices, {steps.min():.4g} to {steps.max():.4g} mm apart: slices are "
        "missing, or are of several images"
    )


def _missing(at: Array, ratio: NDArray[np.intp]) -> str:
    where = np.flatnonzero(ratio > 1)
    n = int((ratio[where] - 1).sum())
    named = ", ".join(f"{k + 1} and {k + 2} (at {at[k]:.1f} mm)" for k in where[:MOST_NAMED])
    rest = f" and in {len(where) - MOST_NAMED} more places" if len(where) > MOST_NAMED else ""
    return (
        f"lacks {n} slice{'' if n == 1 else 's'}, between the slices {named}{rest}: send the "
        "whole series"
    )


def _sheared(positions: Array, normal: Array) -> str:
    """Return by what angle a stack slants, if it does."""
    way = positions[-1] - positions[0]
    across = way - normal * (way @ normal)
    slant = float(np.degrees(np.arctan2(np.linalg.norm(across), abs(way @ normal))))
    if slant <= SHEAR_DEGREES or np.linalg.norm(across) <= SHEAR_MM:
        return ""
    return (
        f"is sheared by {slant:.3g} degrees (gantry tilt, or slices that slant): expected slices "
        "at right angles to their stack; resample it first"
    )
