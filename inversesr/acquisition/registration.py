"""Where two scans of one subject lie with respect to each other.

fixed_world = pose @ moving_world          a rotation and a shift, RAS+ millimetres
"""

from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813 (the name that its documentation uses)

from inversesr.errors import InputError
from inversesr.volume import Affine, Grid, Image, Volume

# SimpleITK's world is LPS+.
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# Coarse to fine: shrink factor and smoothing in mm of each level.
SHRINK_FACTORS = (4, 2, 1)
SMOOTHING_MM = (4.0, 2.0, 1.0)
HISTOGRAM_BINS = 32
SAMPLED_SHARE = 0.1
# In a mask every voxel counts up to here; of more, the information grows little and the time does.
MOST_SAMPLES = 50_000
N_STEPS = 100
MINIMUM_STEP_MM = 1e-3


def register_rigid(
    fixed: Volume, moving: Volume, mask: Image | None, start: Affine, seed: int
) -> Affine:
    """Find the rigid motion that brings one scan onto another.

    Args:
        fixed: Scan that stays.
        moving: Scan of the same subject and contrast.
        mask: Where to look, on the grid of fixed, above 0 inside; None for everywhere.
        start: First guess of the result; the identity trusts the headers.
        seed: Seed of the sampled voxels.

    Returns:
        fixed_world_from_moving_world, shape (4, 4).

    Raises:
        InputError: the scans hardly overlap, or the mask leaves nothing of them.

    Reference: Mattes, Haynor, Vesselle, Lewellen, Eubank (2003), PET-CT image registration in the
    chest using free-form deformations, IEEE Transactions on Medical Imaging 22(1):120-128,
    doi:10.1109/TMI.2003.809072.
    """
    fixed_image, moving_image = _to_sitk(fixed), _to_sitk(moving)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(HISTOGRAM_BINS)
    if mask is None:
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(SAMPLED_SHARE, seed + 1)  # 0 means the wall clock
    else:
        counts = [(mask > 0).sum() / factor**3 for factor in SHRINK_FACTORS]
        if counts[-1] > MOST_SAMPLES:
            shares = [min(1.0, MOST_SAMPLES / n) for n in counts]
            method.SetMetricSamplingStrategy(method.RANDOM)
            method.SetMetricSamplingPercentagePerLevel(shares, seed + 1)
        inside = fixed.with_data(mask)
        method.SetMetricFixedMask(sitk.Cast(_to_sitk(inside) > 0, sitk.sitkUInt8))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, MINIMUM_STEP_MM, N_STEPS)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(SHRINK_FACTORS)
    method.SetSmoothingSigmasPerLevel(SMOOTHING_MM)
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(
        _turn_about(fixed_image, _centre(fixed, mask), start), inPlace=False
    )
    try:
        transform = method.Execute(fixed_image, moving_image)
    except RuntimeError as error:  # SimpleITK's only error, here for want of common voxels
        message = (
            "the scans hardly overlap in the world; expected scans of one subject in one place: "
            "check their headers, and the mask if one was given"
        )
        raise InputError(message) from error
    moving_from_fixed = LPS_FROM_RAS @ _matrix(transform) @ LPS_FROM_RAS
    return np.asarray(np.linalg.inv(moving_from_fixed), dtype=np.float64)


def motion_mm(pose: Affine, grid: Grid) -> float:
    """Largest distance by which a pose moves a corner of an image's grid."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1)
    world = grid.affine @ np.vstack([corners, np.ones(8)])
    return float(np.linalg.norm((pose @ world - world)[:3], axis=0).max())


def _centre(volume: Volume, mask: Image | None) -> list[float]:
    """Middle of the mask, or of the image, in voxels."""
    if mask is None:
        return [(n - 1) / 2.0 for n in volume.grid.shape]
    return [float(indices.mean()) for indices in np.nonzero(mask)]


def _turn_about(image: Any, centre: list[float], fixed_from_moving: Affine) -> Any:  # noqa: ANN401
    """Express a motion as rotation about a point of the image and a shift."""
    pivot = np.array(image.TransformContinuousIndexToPhysicalPoint(centre))
    moving_from_fixed = LPS_FROM_RAS @ np.linalg.inv(fixed_from_moving) @ LPS_FROM_RAS
    rotation = moving_from_fixed[:3, :3]
    transform = sitk.Euler3DTransform()
    transform.SetCenter(pivot.tolist())
    transform.SetMatrix(rotation.ravel().tolist())
    transform.SetTranslation((moving_from_fixed[:3, 3] + rotation @ pivot - pivot).tolist())
    return transform


def _to_sitk(volume: Volume) -> Any:  # noqa: ANN401 (SimpleITK has no types)
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.data.transpose(2, 1, 0)))
    lps_from_voxel = LPS_FROM_RAS @ volume.grid.affine
    image.SetOrigin(lps_from_voxel[:3, 3].tolist())
    image.SetSpacing(volume.grid.spacing_mm)
    image.SetDirection((LPS_FROM_RAS[:3, :3] @ volume.grid.directions).ravel().tolist())
    return image


def _matrix(transform: Any) -> Affine:  # noqa: ANN401
    """Sample a rigid transform at four points to get its matrix, whatever its class."""
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.eye(4)
    for axis, unit in enumerate(np.eye(3).tolist()):
        matrix[:3, axis] = np.array(transform.TransformPoint(unit)) - origin
    matrix[:3, 3] = origin
    return matrix
