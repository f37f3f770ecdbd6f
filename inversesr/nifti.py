"""Reading and writing image files; the only module that knows nibabel.

A file is checked before its voxels are read, and every reason for which it cannot be used is one
`InputError`. Text in a header (`descrip`, extensions, ...) may identify a patient: it is never
copied nor shown.
"""

import json
import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
from inversesr.machine import available_memory_bytes, gibibytes
from inversesr.volume import Affine, Grid, Volume

SUFFIXES = (".nii.gz", ".nii", ".mgz", ".mgh")
# What nibabel, gzip and numpy raise on files that are cut off, empty or something else.
UNREADABLE = (
    ImageFileError, HeaderDataError, MGHError, EOFError, OSError, ValueError, TypeError, KeyError,
    IndexError, OverflowError, AttributeError, struct.error, zlib.error, MemoryError,
)  # fmt: skip
GZIP_MAGIC = b"\x1f\x8b"
LEAST_SLICES = 3
# Voxel sizes outside this range mean that the header is broken or not in millimetres.
SPACING_RANGE_MM = (0.02, 50.0)
LARGEST_OFFSET_MM = 1e5
# Reading needs the raw voxels and their float32 copy.
READ_BYTES_PER_VOXEL = 4


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
        sidecar: Content of the BIDS sidecar JSON, empty where there is none.
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


def stem(path: Path) -> str:
    """Return the file name without the suffix of an image format."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def read_scan(path: Path, volume: int | None = None, *, is_mask: bool = False) -> Scan:
    """Read one 3D scan and the BIDS sidecar beside it.

    Args:
        path: A .nii, .nii.gz, .mgz or .mgh file.
        volume: Which volume of a 4D series, counted from 0; None for a 3D image.
        is_mask: Whether one intensity everywhere is good enough.

    Raises:
        InputError: the file is missing, unreadable or not one usable 3D image.
    """
    _check_path(path)
    try:
        with _quietly():
            image = nibabel.load(path)
    except UNREADABLE as error:
        message = (
            f"{path.name} is not a readable image{_misnamed(path)}: expected NIfTI or MGH, whole "
            "and intact"
        )
        raise InputError(message) from error
    sidecar = {} if is_mask else _read_sidecar(path)
    return scan_from_image(image, path.name, stem(path), volume, sidecar, is_mask=is_mask)


def scan_from_image(
    image: Any,  # noqa: ANN401 (nibabel has no types)
    label: str = "the image",
    name: str = "scan",
    volume: int | None = None,
    sidecar: dict[str, Any] | None = None,
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
    shape, series = _check_shape(tuple(int(n) for n in image.shape), label, volume)
    _check_type(image, label)
    if fault := _affine_fault(affine, shape):
        message = f"{label} {fault}"
        raise InputError(message)
    _check_memory(image, label)
    data = _read_voxels(image, label, series)
    _check_voxels(data, label, is_mask=is_mask)
    warnings = _header_warnings(image, header, label)
    return Scan(
        Volume(data, Grid(shape, affine)),
        header,
        name,
        _slice_axis(image),
        sidecar or {},
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


def _misnamed(path: Path) -> str:
    """Say so where a file is compressed and its name denies it, or the other way round."""
    with suppress(OSError), path.open("rb") as file:
        is_compressed = file.read(2) == GZIP_MAGIC
        is_named_so = path.name.lower().endswith(("gz", "mgz"))
        if is_compressed and not is_named_so:
            return ", but compressed: if that is all, rename it to end in .nii.gz"
        if is_named_so and not is_compressed:
            return ", nor compressed as its name says: if that is all, rename it to end in .nii"
    return ""


def _check_path(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        name = str(path).encode(errors="replace").decode()
        message = (
            f"the name {name} has letters that this system cannot tell: rename the file, or set "
            "LC_ALL=C.UTF-8"
        )
        raise InputError(message) from error
    if path.is_dir():
        message = (
            f"{path} is a folder; expected one NIfTI file: "
            f"if it holds DICOM, run `dcm2niix -z y -b y {path}` and give the .nii.gz it writes"
        )
        raise InputError(message)
    if not path.is_file():
        message = f"{path} does not exist: check the name"
        raise InputError(message)
    if not path.name.lower().endswith(SUFFIXES):
        message = (
            f"{path.name} is not one of {', '.join(SUFFIXES)}: convert it to NIfTI first "
            "(DICOM: `dcm2niix -z y -b y FOLDER`)"
        )
        raise InputError(message)


def _read_sidecar(path: Path) -> dict[str, Any]:
    sidecar = path.with_name(stem(path) + ".json")
    if not sidecar.is_file():
        return {}
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{sidecar.name} is not readable JSON: mend it, or move it away"
        raise InputError(message) from error
    if not isinstance(content, dict):
        message = f"{sidecar.name} is no JSON object: expected one in curly braces"
        raise InputError(message)
    return content


def _keep_header(image: Any) -> Header:  # noqa: ANN401
    affine = np.asarray(image.affine, dtype=np.float64)
    if not isinstance(image, nibabel.Nifti1Image):
        return Header(0, 1, affine, affine, image.get_data_dtype(), "mm", is_nifti2=False)
    qform, qform_code = image.get_qform(coded=True)
    if qform is not None and _affine_fault(qform, (1, 1, 1)):
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


def _check_shape(
    shape: tuple[int, ...], label: str, volume: int | None
) -> tuple[tuple[int, int, int], int | None]:
    """Return the 3D shape and which volume of a series to take."""
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) > 4 or len(shape) < 3:
        message = f"{label} is {len(shape)}D {shape}; expected one 3D image"
        raise InputError(message)
    if len(shape) == 4 and volume is None:
        message = (
            f"{label} is a 4D series {shape} of {shape[3]} volumes; expected one 3D image: "
            f"pick one with `inversesr run --volume N`, N from 0 to {shape[3] - 1}, or cut one out"
        )
        raise InputError(message)
    if volume is not None and volume >= (shape[3] if len(shape) == 4 else 1):
        message = f"{label} has no volume {volume}; its shape is {shape}: volumes count from 0"
        raise InputError(message)
    if min(shape[:3]) < LEAST_SLICES:
        message = (
            f"{label} has shape {shape[:3]}; expected at least {LEAST_SLICES} slices and as many "
            "voxels along the other axes: one slice alone cannot be refined"
        )
        raise InputError(message)
    return (shape[0], shape[1], shape[2]), volume if len(shape) == 4 else None


def _check_type(image: Any, label: str) -> None:  # noqa: ANN401
    dtype = image.get_data_dtype()
    if dtype.fields is not None:
        message = f"{label} is a colour (RGB) image; expected one intensity a voxel"
        raise InputError(message)
    if dtype.kind == "c":
        message = f"{label} holds complex numbers; expected magnitudes: convert it first"
        raise InputError(message)
    if dtype.kind not in "iufb":
        message = f"{label} holds {dtype}; expected numbers"
        raise InputError(message)


def _affine_fault(affine: Affine, shape: tuple[int, int, int]) -> str:
    """Return what is wrong with an affine, to follow the name of the file; empty if nothing."""
    if not np.isfinite(affine).all():
        return "has an affine with NaN or Inf: repair the header"
    with np.errstate(over="ignore"):
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
    low, high = SPACING_RANGE_MM
    if spacing.min() < low or spacing.max() > high:
        found = " x ".join(f"{s:.4g}" for s in spacing)
        return (
            f"has voxels of {found} mm; expected {low} to {high} mm: "
            "repair the affine, or convert its unit to mm"
        )
    if abs(np.linalg.det(affine[:3, :3] / spacing)) < 0.1:
        return "has an affine whose axes lie in one plane: repair the header"
    corner = np.abs(affine[:3, 3]) + np.abs(affine[:3, :3]) @ np.array(shape)
    if corner.max() > LARGEST_OFFSET_MM:
        return f"lies {corner.max():.3g} mm from the origin: repair the affine"
    return ""


def _check_memory(image: Any, label: str) -> None:  # noqa: ANN401
    n_voxels = 1.0
    for n in image.shape:
        n_voxels *= n
    needed = n_voxels * (image.get_data_dtype().itemsize + READ_BYTES_PER_VOXEL)
    available = available_memory_bytes()
    if needed > available:
        message = (
            f"{label} declares {gibibytes(needed)} of voxels, {gibibytes(available)} of memory "
            "are free: check the header, or use a larger machine"
        )
        raise InputError(message)


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


def _check_voxels(data: NDArray[np.float32], label: str, *, is_mask: bool) -> None:
    n_bad = int(data.size - np.isfinite(data).sum())
    if n_bad:
        message = (
            f"{label} has {n_bad} NaN or Inf voxels of {data.size}; expected finite intensities: "
            "replace them, for example by 0"
        )
        raise InputError(message)
    low, high = float(data.min()), float(data.max())
    if low == high and not is_mask:
        what = "only zeros" if low == 0.0 else f"the same intensity {low:g} everywhere"
        message = f"{label} holds {what}; expected an image"
        raise InputError(message)
    if max(abs(low), abs(high)) > 1e30:
        message = f"{label} has intensities up to {max(abs(low), abs(high)):.3g}: rescale it"
        raise InputError(message)


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
