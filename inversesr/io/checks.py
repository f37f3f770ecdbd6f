"""What an image must be to be a scan: every reason for which it cannot be one is one sentence.

Nothing here reads voxels: a file is judged by its name, its header, and what was read of it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.io.formats import READER_SUFFIXES
from inversesr.resources import available_memory_bytes, gibibytes
from inversesr.volume import Affine

# The header of a pair of files, and its voxels.
PAIRS = ((".hdr", ".img"), (".hdr.gz", ".img.gz"))
SUFFIXES = (
    ".nii.gz", ".nii", ".mgz", ".mgh", *(end for pair in PAIRS for end in pair), *READER_SUFFIXES,
)  # fmt: skip
LEAST_SLICES = 3
LONGEST_NAME = 255
# Voxel sizes outside this range mean that the header is broken or not in millimetres.
SPACING_RANGE_MM = (0.02, 50.0)
LARGEST_OFFSET_MM = 1e5
# Reading needs the raw voxels and their float32 copy.
READ_BYTES_PER_VOXEL = 4


def stem(path: Path) -> str:
    """Return the file name without the suffix of an image format."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def check_shape(
    shape: tuple[int, ...], label: str, volume: int | None, *, is_diffusion: bool = False
) -> tuple[tuple[int, int, int], int | None]:
    """Return the 3D shape and which volume of a series to take.

    Args:
        shape: Shape of the image.
        label: Name of the file.
        volume: Which volume was asked for.
        is_diffusion: Whether b-values lie beside the file.

    Raises:
        InputError: it is no 3D image, has too few slices, or no such volume.
    """
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) > 4 or len(shape) < 3:
        message = f"{label} is {len(shape)}D {shape}; expected one 3D image"
        raise InputError(message)
    if len(shape) == 4 and volume is None:
        message = (
            f"{label} is a 4D series {shape} of {shape[3]} volumes; expected one 3D image: "
            f"restore all of it with `inversesr series`, or pick one volume with `inversesr run "
            f"--volume N`, N from 0 to {shape[3] - 1}"
        )
        if is_diffusion:
            message = (
                f"{label} is a diffusion series {shape} with b-values beside it; expected one 3D "
                f"image: restore all {shape[3]} volumes together, with `inversesr dwi` "
                "in place of `inversesr run`"
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


def check_type(image: Any, label: str) -> None:  # noqa: ANN401
    """Refuse an image whose voxels are no real numbers.

    Raises:
        InputError: they are colours, complex, or something else.
    """
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


def affine_fault(affine: Affine, shape: tuple[int, int, int]) -> str:
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


def check_memory(shape: Sequence[int], voxel_bytes: int, label: str) -> None:
    """Refuse an image that would not fit into memory, before it is read.

    Args:
        shape: Number of voxels along each axis.
        voxel_bytes: Memory that one voxel takes as it is stored.
        label: What messages call it.

    Raises:
        InputError: the header declares more voxels than there is memory for.
    """
    n_voxels = 1.0
    for n in shape:
        n_voxels *= n
    needed = n_voxels * (voxel_bytes + READ_BYTES_PER_VOXEL)
    available = available_memory_bytes()
    if needed > available:
        message = (
            f"{label} declares {gibibytes(needed)} of voxels, {gibibytes(available)} of memory "
            "are free: check the header, or use a larger machine"
        )
        raise InputError(message)


def check_voxels(data: NDArray[np.float32], label: str, *, is_mask: bool) -> None:
    """Refuse voxels that show nothing.

    Raises:
        InputError: they are not finite, beyond all measure, or all the same.
    """
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
