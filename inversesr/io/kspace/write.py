"""Writes k-space as NumPy's .npz, and complex images as NIfTI: magnitude and phase."""

from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from inversesr.io.kspace.record import KSpace
from inversesr.volume import Grid

SCANNER_CODE = 1


def write_kspace(path: Path, kspace: KSpace) -> None:
    """Write k-space so that `numpy_file` reads it back.

    Args:
        path: A name that ends in .npz.
        kspace: What to write.
    """
    arrays: dict[str, NDArray[np.generic]] = {
        "kspace": kspace.samples,
        "mask": kspace.measured,
        "axes": np.array("cxyz" if len(kspace.encoded) == 3 else "cxys"),
    }
    for name, value in (("noise", kspace.noise), ("maps", kspace.maps)):
        if value is not None:
            arrays[name] = value
    if kspace.grid is not None:
        arrays["affine"] = kspace.grid.affine
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # stub knows no mapping


def write_image(path: Path, data: NDArray[np.float32], grid: Grid | None) -> None:
    """Write real values on voxels, float32; a fourth axis counts samples.

    Args:
        path: A name that ends in .nii or .nii.gz.
        data: Shape (X, Y, Z) or (X, Y, Z, n).
        grid: Where the voxels lie; None where that is not known.
    """
    image = nibabel.Nifti1Image(
        np.asarray(data, dtype=np.float32), np.eye(4) if grid is None else grid.affine
    )
    code = 0 if grid is None else SCANNER_CODE
    image.set_sform(None if grid is None else grid.affine, code)
    image.set_qform(None if grid is None else grid.affine, code)
    image.header.set_xyzt_units(xyz="mm")
    nibabel.save(image, path)
