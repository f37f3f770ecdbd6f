"""NRRD and MetaImage files, such as 3D Slicer writes, read by ITK."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from inversesr.errors import InputError

# ITK's world runs to the patient's left and back, NIfTI's to the right and front
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0])


def load(path: Path) -> Any:  # noqa: ANN401 (nibabel has no types)
    """Read an image into memory, with its place in the world.

    Args:
        path: A .nrrd, .nhdr, .mha or .mhd file.

    Returns:
        The same as a nibabel NIfTI-1 image in scanner coordinates.

    Raises:
        InputError: the file is no image of one intensity a voxel, or is damaged.
    """
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        n_dimensions, n_components = reader.GetDimension(), reader.GetNumberOfComponents()
        if n_dimensions != 3 or n_components != 1:
            shape = " x ".join(str(n) for n in reader.GetSize())
            message = (
                f"{path.name} is {n_dimensions}D ({shape} voxels) with {n_components} values in "
                "each; expected one 3D image of one intensity a voxel"
            )
            raise InputError(message)
        image = reader.Execute()
    except RuntimeError as error:
        message = f"{path.name} is not a readable image: expected NRRD or MetaImage, whole"
        raise InputError(message) from error
    directions = np.array(image.GetDirection()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = RAS_FROM_LPS @ directions * np.array(image.GetSpacing())
    affine[:3, 3] = RAS_FROM_LPS @ np.array(image.GetOrigin())
    voxels = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)
    found = nibabel.Nifti1Image(voxels, affine, dtype=voxels.dtype)
    found.set_sform(affine, 1)
    found.set_qform(affine, 1)
    found.header.set_xyzt_units("mm")
    return found
