"""Reading and writing image files.

A file is checked before its voxels are read, and every reason for which it cannot be used is one
`InputError`. Text in a header (`descrip`, extensions, ...) may identify a patient: it is never
copied nor shown.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from inversesr.io.checks import (
    check_memory,
    check_shape,
    check_type,
    check_voxels,
    stem,
)
from inversesr.io.faults import refuse_machine
from inversesr.io.header import Header, VoxelSize, find_place
from inversesr.io.paths import check_path, from_home
from inversesr.io.sidecar import Sidecar, read_sidecar
from inversesr.io.source import Opened, opened
from inversesr.io.voxels import read_array
from inversesr.volume import Grid, Volume


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


def read_scan(
    path: Path,
    volume: int | None = None,
    *,
    is_mask: bool = False,
    voxel_size: VoxelSize | None = None,
) -> Scan:
    """Read one 3D scan and the BIDS sidecars that hold for it.

    Args:
        path: A NIfTI, MGH, NRRD or MetaImage file.
        volume: Which volume of a 4D series, counted from 0; None for a 3D image.
        is_mask: Whether one intensity everywhere is good enough.
        voxel_size: Voxel sizes in mm along the three axes, in place of the header's.

    Raises:
        InputError: the file is missing, unreadable, damaged or not one usable 3D image.
        MachineError: the machine cannot read it.
    """
    path = from_home(path)
    check_path(path)
    sidecar = Sidecar() if is_mask else _sidecar(path)
    with opened(path) as source:
        has_bvals = path.with_name(f"{stem(path)}.bval").is_file()
        scan = _take_in(
            source, path.name, volume, voxel_size, is_mask=is_mask, is_diffusion=has_bvals
        )
    return replace(
        scan,
        name=stem(path),
        sidecar=sidecar.content,
        warnings=(*scan.warnings, *sidecar.warnings),
    )


def _sidecar(path: Path) -> Sidecar:
    try:
        return read_sidecar(path)
    except OSError as error:
        refuse_machine(f"the sidecar of {path.name}", error)
        raise


def scan_from_image(
    image: Any,  # noqa: ANN401 (nibabel has no types)
    label: str = "the image",
    volume: int | None = None,
    *,
    voxel_size: VoxelSize | None = None,
) -> Scan:
    """Check a nibabel image and take it in; see `read_scan`."""
    return _take_in(Opened(image), label, volume, voxel_size, is_mask=False)


def _take_in(
    source: Opened,
    label: str,
    volume: int | None,
    voxel_size: VoxelSize | None,
    *,
    is_mask: bool,
    is_diffusion: bool = False,
) -> Scan:
    image = source.image
    # FreeSurfer's sizes are numpy integers, which JSON does not know
    lengths = tuple(int(n) for n in image.shape)
    shape, series = check_shape(lengths, label, volume, is_diffusion=is_diffusion)
    check_type(image, label)
    place = find_place(image, shape, label, voxel_size, source.header)
    check_memory(image.shape, image.get_data_dtype().itemsize, label)
    voxels, notes = read_array(image, label, series)
    data = np.ascontiguousarray(voxels.reshape(shape))
    check_voxels(data, label, is_mask=is_mask)
    return Scan(
        Volume(data, Grid(shape, place.affine)),
        place.header,
        slice_axis=_slice_axis(image),
        warnings=(*source.notes, *place.warnings, *notes),
    )


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
    # the qform sets them too, by its own lengths
    image.header.set_zooms(volume.grid.spacing_mm)
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


def write_volumes(path: Path, data: NDArray[np.float32], grid: Grid, source: Scan) -> None:
    """Write a 4D image as NIfTI, float32; see `to_image`.

    Args:
        path: File to write.
        data: Volumes, shape (n_volumes, X, Y, Z).
        grid: Voxels of each.
        source: The scan whose world, unit and codes are kept.
    """
    first = to_image(Volume(data[0], grid), source)
    image = type(first)(np.moveaxis(data, 0, -1), None, first.header)
    image.header.set_zooms((*grid.spacing_mm, 1.0))
    nibabel.save(image, path)


def write_template_space(path: Path, voxels: NDArray[np.integer[Any]], grid: Grid) -> None:
    """Write integers that lie in the space of the MNI152 template, under their own type.

    Args:
        path: File to write; nothing is left of it where writing fails.
        voxels: Intensities or labels, of the shape of the grid.
        grid: Where they lie.
    """
    image = nibabel.Nifti1Image(voxels, grid.affine)
    for place in (image.set_sform, image.set_qform):
        place(grid.affine, "mni")
    # hidden until it is whole
    temporary = path.with_name(f".{path.name}")
    nibabel.save(image, temporary)
    temporary.replace(path)


def _slice_axis(image: Any) -> int | None:  # noqa: ANN401
    if not isinstance(image, nibabel.Nifti1Pair):
        return None
    axis = image.header.get_dim_info()[2]
    return None if axis is None else int(axis)
