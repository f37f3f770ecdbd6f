"""What a file's header says of its place in the world, and which of its statements is used.

A NIfTI file has two: the sform, any affine map, and the qform, a rotation with voxel sizes. The
sform counts where both are usable; where one is broken the other is used, and a warning says so.
"""

from dataclasses import dataclass, replace
from typing import Any

import nibabel
import numpy as np

from inversesr.errors import InputError
from inversesr.io.checks import affine_fault
from inversesr.io.source import UNREADABLE, quietly
from inversesr.volume import Affine, Grid

# Corners of one volume that lie farther apart than this, by qform and by sform, are told of.
SAME_PLACE_MM = 0.1
# Voxel sizes that differ by less than this share are the same: headers are single precision.
SAME_SIZE = 0.01
# Axes that are this far from a right angle, in degrees, are told of.
RIGHT_ANGLE_DEGREES = 0.1
NO_PLACE = "does not say how it lies in the world: left and right are a guess"
VoxelSize = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Header:
    """The part of a file's header that its derivatives must keep.

    Attributes:
        qform_code: NIfTI code of the qform, 0 where there is none.
        sform_code: NIfTI code of the sform.
        qform: World from voxel by the qform, shape (4, 4).
        sform: World from voxel by the sform.
        dtype: Type in which the voxels are stored.
        spatial_unit: NIfTI name of the spatial unit.
        is_nifti2: Whether the file is NIfTI-2.
    """

    qform_code: int
    sform_code: int
    qform: Affine
    sform: Affine
    dtype: np.dtype[Any]
    spatial_unit: str
    is_nifti2: bool


@dataclass(frozen=True, eq=False)
class Place:
    """Where an image lies.

    Attributes:
        affine: World from voxel, shape (4, 4).
        header: What derivatives keep.
        warnings: What is odd about it, in sentences.
    """

    affine: Affine
    header: Header
    warnings: tuple[str, ...] = ()


def find_place(image: Any, shape: tuple[int, int, int], label: str) -> Place:  # noqa: ANN401
    """Read where an image lies in the world.

    Args:
        image: A nibabel image.
        shape: Its first three lengths.
        label: Name of the file.

    Raises:
        InputError: no statement of the header is usable.
    """
    try:
        with quietly():
            affine = np.asarray(image.affine, dtype=np.float64)
            if not isinstance(image, nibabel.Nifti1Pair):
                return _of_other(image, affine, shape, label)
            return _of_nifti(image, affine, shape, label)
    except InputError:
        raise
    except UNREADABLE as error:
        message = f"{label} has no usable header: repair it, or convert the scan again"
        raise InputError(message) from error


def _of_other(image: Any, affine: Affine, shape: tuple[int, int, int], label: str) -> Place:  # noqa: ANN401
    dtype = image.get_data_dtype()
    _refuse_fault(affine_fault(affine, shape), label)
    is_analyze = isinstance(image, nibabel.AnalyzeImage)
    header = Header(0, int(not is_analyze), affine, affine, dtype, "mm", is_nifti2=False)
    return Place(affine, header, (f"{label} {NO_PLACE}",) if is_analyze else ())


def _of_nifti(image: Any, base: Affine, shape: tuple[int, int, int], label: str) -> Place:  # noqa: ANN401
    sizes = image.header.get_zooms()[:3]
    forms = {"sform": _form(image, "sform"), "qform": _form(image, "qform")}
    stated = {name: form for name, (form, code) in forms.items() if code > 0}
    faults = {name: _form_fault(form, shape) for name, form in stated.items()}
    usable = [name for name in stated if not faults[name]]
    if stated and not usable:
        name = next(iter(stated))
        _refuse_fault(faults[name], label)
    affine = np.asarray(stated[usable[0]]) if usable else base
    _refuse_fault(affine_fault(affine, shape), label)
    codes = {name: forms[name][1] if name in usable else 0 for name in forms}
    warnings = [
        f"{label} has a broken {name}: it is left out, the {usable[0]} is used"
        for name in stated
        if name not in usable
    ]
    grid = Grid(shape, affine)
    if codes["qform"] and codes["sform"]:
        warnings += _disagreement(grid, np.asarray(stated["qform"]), label)
        # programs that read voxel sizes from the qform would see another head
        if not _has_sizes(np.asarray(stated["qform"]), grid):
            codes["qform"] = 0
    warnings += _wrong_sizes(grid, np.asarray(sizes, dtype=np.float64), label)
    if not usable:
        warnings.append(f"{label} {NO_PLACE}")
    unit = image.header.get_xyzt_units()[0]
    if unit not in ("unknown", "mm"):
        warnings.append(f"{label} gives its lengths in {unit}s by its header: they are read as mm")
    header = Header(
        codes["qform"],
        codes["sform"],
        np.asarray(stated["qform"]) if codes["qform"] else affine,
        np.asarray(stated["sform"]) if codes["sform"] else affine,
        image.get_data_dtype(),
        "mm" if unit == "unknown" else unit,
        isinstance(image, nibabel.Nifti2Image | nibabel.Nifti2Pair),
    )
    return Place(affine, header, tuple(warnings))


def _form(image: Any, name: str) -> tuple[Affine | None, int]:  # noqa: ANN401
    """Return an affine of the header, None where it cannot be computed, and its code."""
    code = int(image.header[f"{name}_code"])
    try:
        affine = getattr(image.header, f"get_{name}")()
    except UNREADABLE:
        return None, code
    return np.asarray(affine, dtype=np.float64), code


def _form_fault(affine: Affine | None, shape: tuple[int, int, int]) -> str:
    if affine is None:
        return "has a qform whose quaternion is no rotation: repair the header"
    return affine_fault(affine, shape)


def _refuse_fault(fault: str, label: str) -> None:
    if fault:
        message = f"{label} {fault}"
        raise InputError(message)


def _disagreement(grid: Grid, qform: Affine, label: str) -> list[str]:
    """Compare where qform and sform place the corners of a volume."""
    apart = grid.farthest_mm(Grid(grid.shape, qform))
    if apart <= SAME_PLACE_MM:
        return []
    return [
        f"{label} has a qform and an sform that disagree by up to {apart:.3g} mm at the corners: "
        "the sform is used, other programs may use the qform"
    ]


def _has_sizes(affine: Affine, grid: Grid) -> bool:
    """Whether an affine has the voxel sizes of a grid."""
    found = np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.allclose(found, grid.spacing_mm, rtol=SAME_SIZE))


def _wrong_sizes(grid: Grid, sizes: Affine, label: str) -> list[str]:
    """Compare the voxel sizes of a header with those of the affine that is used."""
    found = []
    if not np.allclose(sizes, grid.spacing_mm, rtol=SAME_SIZE):
        told, used = (" x ".join(f"{s:.4g}" for s in v) for v in (sizes, grid.spacing_mm))
        found.append(
            f"{label} has voxels of {told} mm by its header (pixdim) and of {used} mm by its "
            "affine: the affine is used"
        )
    slant = grid.shear_degrees
    if slant > RIGHT_ANGLE_DEGREES:
        found.append(
            f"{label} has axes that are {slant:.3g} degrees from a right angle (sheared): ITK, "
            "ANTs and 3D Slicer cannot read such a file, nor the result, as it is"
        )
    return found


def resized(place: Place, shape: tuple[int, int, int], size: VoxelSize) -> Place:
    """Return a place with other voxel sizes, about the same centre; see `--voxel-size`.

    Args:
        place: What the header says.
        shape: Lengths of the image.
        size: Voxel sizes in mm along its axes.
    """
    affine = Grid(shape, place.affine).respaced(shape, size).affine
    header = replace(place.header, qform=affine, sform=affine)
    told = " x ".join(f"{s:.4g}" for s in size)
    kept = [w for w in place.warnings if "pixdim" not in w]
    return Place(affine, header, (*kept, f"voxels of {told} mm are assumed, by --voxel-size"))
