"""What a NIfTI header says of the place of its voxels: sform, qform and pixdim.

The sform is any affine map, the qform a rotation with the voxel sizes of pixdim. The sform counts
where both are usable. A broken form is left out where the other is good; forms that disagree are
told with the distance that this makes at the corners of the volume.

    distance = max over the eight corners c of |qform c - sform c|

Reference: Cox et al., NIfTI-1 data format (2004), methods 1 to 3 of orientation.
"""

from dataclasses import dataclass
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.io.checks import affine_fault
from inversesr.io.faults import UNREADABLE
from inversesr.volume import Affine, Grid

Shape = tuple[int, int, int]

# Corners that lie closer are at the same place: a quaternion of single precision alone moves the
# corners of a head by up to 0.41 mm where the axes are turned by nearly 180 degrees.
SAME_PLACE_MM = 0.5
# Voxel sizes that differ by less than this share are the same.
SAME_SIZE = 0.01
# ITK refuses an sform from 0.01 degrees on, unless there is a qform: then it goes by that.
RIGHT_ANGLE_DEGREES, RIGHT_ANGLE_BESIDE_QFORM_DEGREES = 0.01, 0.1
NO_PLACE = "does not say how it lies in the world: left and right are a guess"
NO_QUATERNION = "has a qform whose quaternion is no rotation: repair the header"
# nibabel writes no other codes: a form with a higher one is there, by the standard.
HIGHEST_CODE, ALIGNED = 5, 2


@dataclass(frozen=True, eq=False)
class Forms:
    """Where voxels lie, and by which of a header's forms.

    Attributes:
        affine: World from voxel by the form that is used, shape (4, 4), RAS+ millimetres.
        qform: World from voxel by the qform; the affine where there is none.
        sform: World from voxel by the sform; the affine where there is none.
        qform_code: NIfTI code of the qform, 0 where there is none or it is broken.
        sform_code: NIfTI code of the sform, likewise.
        warnings: What is broken or disagrees, in words that follow the name of the file.
    """

    affine: Affine
    qform: Affine
    sform: Affine
    qform_code: int
    sform_code: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Form:
    affine: Affine
    code: int
    fault: str

    @property
    def is_usable(self) -> bool:
        return self.code > 0 and not self.fault


@np.errstate(all="ignore")
def forms_of(header: Any, shape: Shape, label: str) -> Forms:  # noqa: ANN401 (nibabel has no types)
    """Find out where a NIfTI header places its voxels.

    Args:
        header: A NIfTI header of nibabel, as it is in the file or mended.
        shape: Number of voxels along each axis.
        label: Name of the file.

    Raises:
        InputError: no form of it can be used.
    """
    sform, qform = _form(header, shape, "sform"), _form(header, shape, "qform")
    told = _odd_codes(header)
    if sform.is_usable:
        return _by_sform(header, sform, qform, shape, told)
    if qform.is_usable:
        if sform.code:
            told.append("has a broken sform: it is left out, the qform is used")
        return Forms(qform.affine, qform.affine, qform.affine, qform.code, 0, tuple(told))
    if sform.code or qform.code:
        message = f"{label} {sform.fault or qform.fault}"
        raise InputError(message)
    affine = centred(_sizes(header), shape)
    return Forms(affine, affine, affine, 0, 0, (*told, NO_PLACE))


def centred(sizes: NDArray[np.float64], shape: Shape) -> Affine:
    """Return the affine of an image of which no more than voxel sizes are known.

    Args:
        sizes: Voxel sizes in mm; 1 mm is taken for what is no length.
        shape: Number of voxels along each axis.
    """
    header = nibabel.Nifti1Header()
    header.set_data_shape((1, 1, 1))
    header.set_zooms(np.where(np.isfinite(sizes) & (sizes > 0), sizes, 1.0))
    affine = np.asarray(header.get_base_affine(), dtype=np.float64)
    # about the middle, as nibabel does
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2.0)
    return affine


def in_mm(sizes: Any) -> str:  # noqa: ANN401 (three numbers)
    """Return voxel sizes in words."""
    return " x ".join(f"{size:.4g}" for size in sizes) + " mm"


def _by_sform(header: Any, sform: _Form, qform: _Form, shape: Shape, told: list[str]) -> Forms:  # noqa: ANN401
    """Use the sform; keep the qform beside it if that is sound."""
    grid, code = Grid(shape, sform.affine), qform.code
    if qform.fault:
        told.append("has a broken qform: it is left out, the sform is used")
        told += _wrong_sizes(grid, _sizes(header))
        code = 0
    elif code and not _has_sizes(qform.affine, grid):
        # programs that read voxel sizes from the qform would see another head
        told.append(_other_sizes(np.linalg.norm(qform.affine[:3, :3], axis=0), grid, "qform"))
        code = 0
    elif code:
        told += _disagreement(grid, qform.affine)
    else:
        told += _wrong_sizes(grid, _sizes(header))
    told += shear_doubts(grid, has_qform=code > 0)
    kept = qform.affine if code else sform.affine
    return Forms(sform.affine, kept, sform.affine, code, sform.code, tuple(told))


def _form(header: Any, shape: Shape, name: str) -> _Form:  # noqa: ANN401
    """Return one form of a header, with what is wrong with it."""
    stated = int(header[f"{name}_code"])
    code = max(stated, 0) if stated <= HIGHEST_CODE else ALIGNED
    if not code:
        return _Form(np.eye(4), 0, "")
    mended = header.copy()
    # the standard: of the first only the sign counts, and lengths have none
    mended["pixdim"][0] = -1.0 if float(header["pixdim"][0]) < 0 else 1.0
    mended["pixdim"][1:4] = np.abs(header["pixdim"][1:4])
    try:
        affine = np.asarray(getattr(mended, f"get_{name}")(), dtype=np.float64)
    except UNREADABLE:
        return _Form(np.eye(4), code, NO_QUATERNION)
    return _Form(affine, code, affine_fault(affine, shape))


def _sizes(header: Any) -> NDArray[np.float64]:  # noqa: ANN401
    return np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))


def _odd_codes(header: Any) -> list[str]:  # noqa: ANN401
    codes = {name: int(header[name]) for name in ("sform_code", "qform_code")}
    return [
        f"has an unknown {name} of {code}: check its header"
        for name, code in codes.items()
        if not 0 <= code <= HIGHEST_CODE
    ]


def _has_sizes(affine: Affine, grid: Grid) -> bool:
    """Whether an affine has the voxel sizes of a grid."""
    found = np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.allclose(found, grid.spacing_mm, rtol=SAME_SIZE, atol=0.0))


def _other_sizes(found: NDArray[np.float64], grid: Grid, by: str) -> str:
    used = in_mm(grid.spacing_mm)
    left_out = "it is left out, the sform is used" if by == "qform" else "the sform is used"
    stated = in_mm(found)
    return f"has voxels of {stated} by its {by} (pixdim) and of {used} by its sform: {left_out}"


def _disagreement(grid: Grid, qform: Affine) -> list[str]:
    """Compare where qform and sform place the corners of a volume."""
    apart = grid.farthest_mm(Grid(grid.shape, qform))
    if apart <= SAME_PLACE_MM:
        return []
    return [
        f"has a qform and an sform that disagree by up to {apart:.3g} mm at the corners: the "
        "sform is used, other programs may use the qform"
    ]


def _wrong_sizes(grid: Grid, sizes: NDArray[np.float64]) -> list[str]:
    """Compare the voxel sizes of a header with those of the affine that is used."""
    steps = np.array(grid.shape) - 1
    # of a sheared image some programs write the distance between planes
    apart = [np.abs(sizes - own) * steps for own in (grid.spacing_mm, grid.plane_distance_mm)]
    if bool((np.minimum(*apart) <= SAME_PLACE_MM).all()):  # false for NaN
        return []
    return [_other_sizes(sizes, grid, "header")]


def shear_doubts(grid: Grid, *, has_qform: bool) -> list[str]:
    """Tell of axes that are not at right angles, in words that follow the name of the file.

    Args:
        grid: Where the image lies.
        has_qform: Whether a qform stands beside the sform.
    """
    slant = grid.shear_degrees
    if slant < (RIGHT_ANGLE_BESIDE_QFORM_DEGREES if has_qform else RIGHT_ANGLE_DEGREES):
        return []
    return [
        f"has axes that are {slant:.3g} degrees from a right angle (sheared): ITK, ANTs and 3D "
        "Slicer cannot read such a file, nor the result, as it is"
        + (" (they go by the qform, which knows no shear)" if has_qform else "")
    ]
