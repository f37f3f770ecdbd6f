"""Reading and writing image files; the only module that knows nibabel.

A file is checked before its voxels are read, and every reason for which it cannot be used is one
`InputError`. Text in a header (`descrip`, extensions, ...) may identify a patient: it is never
copied nor shown.
"""

import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.io.checks import (
    affine_fault,
    check_memory,
    check_path,
    check_shape,
    check_type,
    check_voxels,
    misnamed,
    stem,
)
from inversesr.io.sidecar import Sidecar, read_sidecar
from inversesr.volume import Affine, Grid, Volume

# What nibabel, gzip and numpy raise on files that are cut off, empty or something else.
UNREADABLE = (
    ImageFileError, HeaderDataError, MGHError, EOFError, OSError, ValueError, TypeError, KeyError,
    IndexError, OverflowError, AttributeError, struct.error, zlib.error, MemoryError,
)  # fmt: skip


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
class Scan:
    """One image as it was read.

    Attributes:
        volume: Its voxels, float32, in their own order.
        header: What its derivatives keep.
        name: File name without folder and suffix.
        slice_axis: Slice axis stated by the header, or None.
        sidecar: Content of the BIDS sidecars that hold for it, merged; empty where there is none.
        warnings: What is odd about the file, in sentences.
    """

    volume: Volume
    header: Header
    name: str = "scan"
    slice_axis: int | None = None
    sidecar: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @classmethod
    def made_here(cls, volume: Volume) -> "Scan":
        """Wrap a volume that never was a file, in scanner coordinates."""
        affine = volume.grid.affine
        return cls(
            volume, Header(1, 1, affine, affine, np.dtype(np.float32), "mm", is_nifti2=False)
        )


def read_scan(path: Path, volume: int | None = None, *, is_mask: bool = False) -> Scan:
    """Read one 3D scan and the BIDS sidecars that hold for it.

    Args:
        path: A .nii, .nii.gz, .mgz or .mgh file.
        volume: Which volume of a 4D series, counted from 0; None for a 3D image.
        is_mask: Whether one intensity everywhere is good enough.

    Raises:
        InputError: the file is missing, unreadable or not one usable 3D image.
    """
    check_path(path)
    try:
        with _quietly():
            image = nibabel.load(path)
    except UNREADABLE as error:
        message = (
            f"{path.name} is not a readable image{misnamed(path)}: expected NIfTI or MGH, whole "
            "and intact"
        )
        raise InputError(message) from error
    sidecar = Sidecar() if is_mask else read_sidecar(path)
    return scan_from_image(image, path.name, stem(path), volume, sidecar, is_mask=is_mask)


def scan_from_image(
    image: Any,  # noqa: ANN401 (nibabel has no types)
    label: str = "the image",
    name: str = "scan",
    volume: int | None = None,
    sidecar: Sidecar | None = None,
    *,
    is_mask: bool = False,
) -> Scan:
    """Check a nibabel image and take it in; see `read_scan`."""
    try:
        affine = np.asarray(image.affine, dtype=np.float64)
        with _quietly():
            header = _keep_header(image)
    except UNREADABLE as error:
        message = f"{label} has no usable header: repair it, or convert the scan again"
        raise InputError(message) from error
    # FreeSurfer's sizes are numpy integers, which JSON does not know
    shape, series = check_shape(tuple(int(n) for n in image.shape), label, volume)
    check_type(image, label)
    if fault := affine_fault(affine, shape):
        message = f"{label} {fault}"
        raise InputError(message)
    check_memory(image, label)
    data = _read_voxels(image, label, series)
    check_voxels(data, label, is_mask=is_mask)
    sidecar = sidecar or Sidecar()
    warnings = (*_header_warnings(image, header, label), *sidecar.warnings)
    return Scan(
        Volume(data, Grid(shape, affine)),
        header,
        name,
        _slice_axis(image),
        sidecar.content,
        warnings,
    )


def read_mask(path: Path, grid: Grid) -> NDArray[np.bool_]:
    """Read a mask and bring it onto a grid (nearest neighbour).

    Raises:
        InputError: the file is unusable, or the mask is empty on that grid.
    """
    from scipy.ndimage import affine_transform

    mask = read_scan(path, is_mask=True).volume
    mask_from_grid = np.linalg.inv(mask.grid.affine) @ grid.affine
    inside = np.asarray(
        affine_transform(
            (mask.data > 0).astype(np.uint8), mask_from_grid, output_shape=grid.shape, order=0
        ),
        dtype=bool,
    )
    if not (mask.data > 0).any():
        message = f"{path.name} marks nothing: expected a mask that is above 0 somewhere"
        raise InputError(message)
    if not inside.any():
        message = f"{path.name} marks nothing inside the scan: expected a mask in the same space"
        raise InputError(message)
    return inside


def to_image(volume: Volume, source: Scan, output_type: str = "float32") -> Any:  # noqa: ANN401
    """Make a nibabel image in the world of the scan it was derived from.

    qform and sform keep the codes of the source. No text, extension or intent is taken over.

    Args:
        volume: What to store; its grid has the axes of the source's grid, or any other.
        source: The scan whose world, unit and codes are kept.
        output_type: "float32", or "input" for the type of the source where it is an integer,
            with a scaling of its own.
    """
    header = source.header
    source_from_volume = np.linalg.inv(source.volume.grid.affine) @ volume.grid.affine
    cls = nibabel.Nifti2Image if header.is_nifti2 else nibabel.Nifti1Image
    image = cls(volume.data, volume.grid.affine)
    has_code = header.qform_code > 0 or header.sform_code > 0
    image.set_sform(header.sform @ source_from_volume if has_code else None, header.sform_code)
    image.set_qform(header.qform @ source_from_volume if has_code else None, header.qform_code)
    image.header.set_xyzt_units(xyz=header.spatial_unit)
    if output_type == "input" and header.dtype.kind in "iu":
        image.set_data_dtype(header.dtype)  # nibabel chooses slope and intercept for the range
    else:
        image.set_data_dtype(np.float32)
    return image


def stored(volume: Volume, source: Scan, output_type: str = "float32") -> Volume:
    """Return a volume as it is read back once written; see `to_image`.

    Integers have as many steps as their type holds: 255 are coarse, 65535 are not.
    """
    image = to_image(volume, source, output_type)
    if image.get_data_dtype() == volume.data.dtype:
        return volume
    back = type(image).from_bytes(image.to_bytes())
    return volume.with_data(back.get_fdata(dtype=np.float32))


def write_volume(path: Path, volume: Volume, source: Scan, output_type: str = "float32") -> None:
    """Write a volume as NIfTI; see `to_image`."""
    nibabel.save(to_image(volume, source, output_type), path)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep nibabel from telling what it mends in a header, and numpy what overflows in it."""
    logger = logging.getLogger("nibabel.global")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        logger.setLevel(level)


def _keep_header(image: Any) -> Header:  # noqa: ANN401
    affine = np.asarray(image.affine, dtype=np.float64)
    if not isinstance(image, nibabel.Nifti1Image):
        return Header(0, 1, affine, affine, image.get_data_dtype(), "mm", is_nifti2=False)
    qform, qform_code = image.get_qform(coded=True)
    if qform is not None and affine_fault(qform, (1, 1, 1)):
        qform, qform_code = None, 0
    sform, sform_code = image.get_sform(coded=True)
    unit = image.header.get_xyzt_units()[0]
    return Header(
        int(qform_code),
        int(sform_code),
        affine if qform is None else np.asarray(qform, dtype=np.float64),
        affine if sform is None else np.asarray(sform, dtype=np.float64),
        image.get_data_dtype(),
        "mm" if unit == "unknown" else unit,
        isinstance(image, nibabel.Nifti2Image),
    )


def _read_voxels(image: Any, label: str, volume: int | None) -> NDArray[np.float32]:  # noqa: ANN401
    try:
        with np.errstate(all="ignore"):
            proxy = image.dataobj
            # further axes are of length 1
            further = (0,) * (len(image.shape) - 4)
            part = proxy if volume is None else proxy[(..., volume, *further)]
            data = np.asarray(part, dtype=np.float32)
    except UNREADABLE as error:
        message = f"{label} ends before its last voxel or is damaged: copy or convert it again"
        raise InputError(message) from error
    return np.ascontiguousarray(data.reshape(data.shape[:3]))


def _slice_axis(image: Any) -> int | None:  # noqa: ANN401
    if not isinstance(image, nibabel.Nifti1Image):
        return None
    axis = image.header.get_dim_info()[2]
    return None if axis is None else int(axis)


def _header_warnings(image: Any, header: Header, label: str) -> tuple[str, ...]:  # noqa: ANN401
    found = _orientation_warnings(image, header, label)
    if header.spatial_unit == "mm":
        return found
    unit = header.spatial_unit
    return (*found, f"{label} gives its lengths in {unit}s by its header: they are read as mm")


def _orientation_warnings(image: Any, header: Header, label: str) -> tuple[str, ...]:  # noqa: ANN401
    if header.qform_code == 0 and header.sform_code == 0:
        return (f"{label} does not say how it lies in the world: left and right are a guess",)
    if header.sform_code and not header.qform_code and image.header.get("qform_code", 0) > 0:
        return (f"{label} has a broken qform: it is left out, the sform is used",)
    if header.qform_code and header.sform_code:
        linear = np.abs(header.qform[:3, :3] - header.sform[:3, :3]).max()
        if linear > 0.01 * np.abs(header.sform[:3, :3]).max():
            return (f"{label} has a qform and an sform that disagree: the sform is used",)
    return ()
