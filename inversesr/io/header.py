"""What a file's header says of its place in the world, and what its derivatives keep of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from inversesr.errors import InputError
from inversesr.io.checks import affine_fault
from inversesr.io.faults import UNREADABLE, quietly, refuse
from inversesr.io.forms import NO_PLACE, Forms, Shape, centred, forms_of, in_mm, shear_doubts
from inversesr.io.streams import stream_of
from inversesr.volume import Affine, Grid

NIFTI_BYTES = ((nibabel.Nifti2Header, 540), (nibabel.Nifti1Header, 348))
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


def raw_header(path: Path) -> Any:  # noqa: ANN401 (nibabel has no types)
    """Return the NIfTI header of a file as it is: nibabel mends what it reads, in silence.

    Args:
        path: A single file, or the header of a pair.

    Returns:
        A header of nibabel; None where the file has none.

    Raises:
        OSError: the file cannot be read.
    """
    with stream_of(path) as stream:
        block = stream.read(NIFTI_BYTES[0][1])
    for kind, n_bytes in NIFTI_BYTES:
        if len(block) >= n_bytes and kind.may_contain_header(block[:n_bytes]):
            return kind(block[:n_bytes], check=False)
    return None


def find_place(
    image: Any,  # noqa: ANN401 (nibabel has no types)
    shape: Shape,
    label: str,
    size: VoxelSize | None = None,
    raw: Any = None,  # noqa: ANN401
) -> Place:
    """Read where an image lies in the world.

    Args:
        image: A nibabel image.
        shape: Its first three lengths.
        label: Name of the file.
        size: Voxel sizes in mm that a user states, in place of the header's.
        raw: The NIfTI header as it is in the file; None for that of the image.

    Raises:
        InputError: no statement of the header is usable.
    """
    try:
        with quietly():
            forms = _forms(image, raw, shape, label)
    except InputError:
        if size is None:
            raise
        affine = centred(np.array(size), shape)
        forms = Forms(affine, affine, affine, 0, 0, (NO_PLACE,))
    except UNREADABLE as error:
        refuse(label, error, "has no usable header: repair it, or convert the scan again")
    warnings = [f"{label} {told}" for told in forms.warnings]
    if size is not None:
        forms = _resized(forms, shape, size)
        # what the header says of them does not matter any more
        warnings = [told for told in warnings if "pixdim" not in told]
        warnings.append(f"voxels of {in_mm(size)} are assumed, by --voxel-size")
    if fault := affine_fault(forms.affine, shape):
        message = f"{label} {fault}"
        raise InputError(message)
    unit = _unit(image)
    if unit not in ("unknown", "mm"):
        warnings.append(f"{label} gives its lengths in {unit}s by its header: they are read as mm")
    header = Header(
        forms.qform_code,
        forms.sform_code,
        forms.qform,
        forms.sform,
        image.get_data_dtype(),
        "mm" if unit == "unknown" else unit,
        isinstance(image, nibabel.Nifti2Image | nibabel.Nifti2Pair),
    )
    return Place(forms.affine, header, tuple(warnings))


def _forms(image: Any, raw: Any, shape: Shape, label: str) -> Forms:  # noqa: ANN401
    if isinstance(image, nibabel.Nifti1Pair):
        return _of_nifti(image, raw, shape, label)
    # SPM puts an affine into a file beside a pair; Analyze alone knows no place
    is_placed = not isinstance(image, nibabel.AnalyzeImage) or _has_mat(image)
    affine = np.asarray(image.affine, dtype=np.float64)
    is_sound = not affine_fault(affine, shape)
    told = shear_doubts(Grid(shape, affine), has_qform=False) if is_sound else []
    if is_placed:
        return Forms(affine, affine, affine, 0, 1, tuple(told))
    affine = centred(np.abs(np.array(image.header.get_zooms()[:3], np.float64)), shape)
    return Forms(affine, affine, affine, 0, 0, (NO_PLACE,))


def _of_nifti(image: Any, raw: Any, shape: Shape, label: str) -> Forms:  # noqa: ANN401
    if raw is not None:
        return forms_of(raw, shape, label)
    # a program may have moved the image without telling its header
    affine = None if image.affine is None else np.asarray(image.affine, dtype=np.float64)
    try:
        is_of_header = affine is None or np.allclose(
            affine, image.header.get_best_affine(), atol=1e-3, equal_nan=True
        )
    except UNREADABLE:
        is_of_header = False
    if affine is None or is_of_header or affine_fault(affine, shape):
        return forms_of(image.header, shape, label)
    return Forms(affine, affine, affine, 0, 1)


def _unit(image: Any) -> str:  # noqa: ANN401
    """Return the unit of lengths; "unknown" for a code of no meaning, too."""
    if not isinstance(image, nibabel.Nifti1Pair):
        return "mm"
    try:
        return str(image.header.get_xyzt_units()[0])
    except KeyError:
        return "unknown"


def _has_mat(image: Any) -> bool:  # noqa: ANN401
    holder = image.file_map.get("mat")
    return holder is not None and bool(holder.filename) and Path(holder.filename).is_file()


def _resized(forms: Forms, shape: Shape, size: VoxelSize) -> Forms:
    """Return a place with other voxel sizes, with the same axes about the same centre."""
    affine, qform, sform = (
        Grid(shape, form).respaced(shape, size).affine
        for form in (forms.affine, forms.qform, forms.sform)
    )
    return Forms(affine, qform, sform, forms.qform_code, forms.sform_code, forms.warnings)
