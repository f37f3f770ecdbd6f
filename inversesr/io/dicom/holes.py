"""Puts the slices of a converted series in their places where some of them are missing.

A place without a slice holds zeros. dcm2niix stores the slices that there are next to each other,
and beside them an image of interpolated ones, which is not used.
"""

from pathlib import Path

import nibabel
import numpy as np

from inversesr.io.dicom.geometry import Layout

# How the name of dcm2niix's interpolated image goes on.
INTERPOLATED = "_Eq"
SLICE_AXIS = 2


def with_holes(path: Path, layout: Layout) -> tuple[int, ...]:
    """Give an image of the slices that there are the shape of the lattice they lie on.

    Args:
        path: Uncompressed NIfTI file of the slices that there are, by dcm2niix; it is replaced.
        layout: The lattice. Its first and last slices are there.

    Returns:
        The slices without voxels, in the order of the image.
    """
    image = nibabel.Nifti1Image.from_bytes(path.read_bytes())
    stored = np.asanyarray(image.dataobj.get_unscaled())
    affine = np.array(image.affine, dtype=np.float64)
    n_slices = layout.shape[SLICE_AXIS]
    if stored.ndim != 3 or stored.shape[SLICE_AXIS] + len(layout.missing) != n_slices:
        return ()  # what was converted is told to be damaged where its shape is compared
    is_turned = float(affine[:3, SLICE_AXIS] @ layout.affine[:3, SLICE_AXIS]) < 0.0
    missing = tuple(sorted(n_slices - 1 - k if is_turned else k for k in layout.missing))
    there = [k for k in range(n_slices) if k not in missing]
    whole = np.zeros((*stored.shape[:SLICE_AXIS], n_slices), dtype=stored.dtype)
    whole[:, :, there] = stored
    # the first two slices may lie a hole apart
    step = layout.spacing_mm[SLICE_AXIS]
    affine[:3, SLICE_AXIS] *= step / np.linalg.norm(affine[:3, SLICE_AXIS])
    slope, intercept = image.dataobj.slope, image.dataobj.inter
    made = nibabel.Nifti1Image(whole, affine, image.header)
    made.header.set_slope_inter(slope, intercept)
    made.header.set_dim_info(slice=SLICE_AXIS)
    made.header.set_qform(affine, 1)
    made.header.set_sform(affine, 1)
    path.write_bytes(made.to_bytes())
    return missing
