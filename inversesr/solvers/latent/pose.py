"""How a head lies in a fixed prior's world, how sure that is, and when the prior is refused.

    pose    = argmax mutual information of scan and mean image, from two starts
    quality = correlation of the scan, resampled by the pose, with the mean image in its foreground

Another contrast or a wrong pose correlates little or negatively: there the prior would invent.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from inversesr.acquisition.registration import register_rigid
from inversesr.errors import InputError
from inversesr.operators.resample import RigidResample
from inversesr.volume import Affine, Image, Volume

# Anatomy differs from person to person: only what is wider than this is compared.
SMOOTHING_MM = 3.0
# Foreground of a mean image, as a share of its bright level.
FOREGROUND_SHARE = 0.2
LEAST_OVERLAP = 0.6
# Against a mean of eight T1 brains, other T1 brains reached 0.75 to 0.95, T2 heads 0.62 at most.
LEAST_QUALITY = 0.7


@dataclass(frozen=True, eq=False)
class Pose:
    """Where a head lies in the prior's world.

    Attributes:
        prior_world_from_scan_world: Rigid motion in RAS mm, shape (4, 4).
        quality: Correlation with the prior's mean image, -1 to 1.
    """

    prior_world_from_scan_world: Affine
    quality: float


@dataclass(frozen=True)
class PriorRefused:
    """Why a prior must not be used for a scan; the caller falls back to another solver.

    Attributes:
        reason: One sentence: what was found, what was expected, what is done instead.
    """

    reason: str


def find_pose(
    scan: Volume, brain: Image | None, mean: Volume, seed: int, *, is_stripped: bool
) -> Pose | PriorRefused:
    """Find the pose of a head in a fixed prior's world.

    Args:
        scan: The scan, in any voxels and any place.
        brain: Mask of the brain on the scan's grid, above 0 inside; None where it is not known.
        mean: The prior's mean image, such as the decoded mean of samples.
        seed: Seed of the sampled voxels.
        is_stripped: Whether the prior knows nothing but brains: then nothing else is looked at.
            Otherwise the brain refines what the whole head gave.
    """
    seen = scan.with_data(scan.data * (brain > 0)) if is_stripped and brain is not None else scan
    foreground = (mean.data > FOREGROUND_SHARE * np.percentile(mean.data, 99.0)).astype(np.float32)
    shift = np.eye(4)
    shift[:3, 3] = _centroid(mean.with_data(foreground)) - _centroid(_bright(seen))
    found = []
    for start in (shift, np.eye(4)):
        pose = _registered(seen, mean, foreground, start, seed)
        if pose is not None:
            found.append(pose)
    best = max(found, key=lambda pose: pose.quality, default=None)
    if best is not None and brain is not None and not is_stripped:
        start = best.prior_world_from_scan_world
        region = foreground * brain_in_prior(scan, brain, mean, start)
        best = _registered(scan, mean, region, start, seed) if region.any() else None
    if best is None:
        return PriorRefused(
            "the scan could not be brought onto the prior's mean image; expected a whole brain: "
            "tv is used instead"
        )
    if best.quality < LEAST_QUALITY:
        return PriorRefused(
            f"the scan correlates with the prior's mean image by {max(best.quality, 0.0):.2f}; "
            f"expected at least {LEAST_QUALITY}: its contrast or its field of view is unknown to "
            "the prior, tv is used instead"
        )
    return best


def _registered(
    scan: Volume, mean: Volume, region: Image, start: Affine, seed: int
) -> Pose | None:
    """Register a scan to the mean image within a region; None where they stay apart."""
    try:
        pose = register_rigid(mean, scan, region, start, seed)
    except InputError:
        return None
    return Pose(pose, pose_quality(scan, mean, region, pose))


def brain_in_prior(scan: Volume, brain: Image, mean: Volume, pose: Affine) -> Image:
    """Carry a brain mask to the grid of the mean image, 1 inside, else 0."""
    V = RigidResample(scan.grid, mean.grid, np.asarray(np.linalg.inv(pose)))
    carried = V(torch.from_numpy((brain > 0).astype(np.float32)))
    return np.asarray(carried.numpy() > 0.5, dtype=np.float32)


def pose_quality(scan: Volume, mean: Volume, foreground: Image, pose: Affine) -> float:
    """Return the correlation of a scan with the prior's mean image in a pose.

    Args:
        scan: The scan.
        mean: The prior's mean image.
        foreground: Where to compare, on the grid of mean, above 0 inside.
        pose: prior_world_from_scan_world.

    Returns:
        Correlation where both are, or -1 where too little of the mean image is covered.
    """
    a, b = _compared(scan, mean, foreground, pose)
    if a.size < LEAST_OVERLAP * (foreground > 0).sum() or a.std() == 0.0 or b.std() == 0.0:
        return -1.0
    return float(np.corrcoef(a, b)[0, 1])


def gain_to_mean(scan: Volume, brain: Image, mean: Volume, pose: Affine) -> float:
    """Return the factor of the mean image that is nearest to a scan within the brain.

    Args:
        scan: The scan, 0 where there is no signal.
        brain: Mask on its grid, above 0 inside.
        mean: The prior's mean image.
        pose: prior_world_from_scan_world.

    Returns:
        Factor above 0; 1 where there is nothing to compare.
    """
    a, b = _compared(scan, mean, brain_in_prior(scan, brain, mean, pose), pose)
    power = float(np.square(b, dtype=np.float64).sum())
    factor = float((a.astype(np.float64) * b).sum()) / power if power > 0.0 else 1.0
    return factor if factor > 0.0 else 1.0


def _compared(scan: Volume, mean: Volume, region: Image, pose: Affine) -> tuple[Image, Image]:
    """Return the voxels of a scan and of the mean image, both smoothed, where both are."""
    V = RigidResample(scan.grid, mean.grid, np.asarray(np.linalg.inv(pose)))
    reached = V(torch.ones(scan.grid.shape)).numpy() > 0.5
    inside = reached & (region > 0)
    sigmas = [SMOOTHING_MM / s for s in mean.grid.spacing_mm]
    images = (V(torch.from_numpy(scan.data)).numpy(), mean.data)
    a, b = (gaussian_filter(image, sigmas)[inside] for image in images)
    return a, b


def _bright(volume: Volume) -> Volume:
    """Mark what is brighter than the mean of an image: a head rather than air."""
    return volume.with_data((volume.data > volume.data.mean()).astype(np.float32))


def _centroid(marked: Volume) -> Affine:
    """Return the middle of what is marked, in world millimetres, shape (3,)."""
    voxels = np.array(np.nonzero(marked.data > 0))
    middle = voxels.mean(axis=1) if voxels.size else (np.array(marked.data.shape) - 1) / 2.0
    affine = marked.grid.affine
    return np.asarray(affine[:3, :3] @ middle + affine[:3, 3])
