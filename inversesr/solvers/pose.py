"""How a head lies in a fixed prior's world, how sure that is, and when the prior is refused.

    pose    = argmax mutual information of scan and mean image, from two starts
    quality = correlation of the scan, resampled by the pose, with the mean image in its foreground

Another contrast or a wrong pose correlates little or negatively: there the prior would invent.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from inversesr.alignment import register_rigid
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


def find_pose(scan: Volume, brain: Image | None, mean: Volume, seed: int) -> Pose | PriorRefused:
    """Find the pose of a head in a fixed prior's world.

    Args:
        scan: The scan, in any voxels and any place.
        brain: Mask of the brain on the scan's grid, for a skull-stripped prior; None for a prior
            that knows whole heads.
        mean: The prior's mean image, such as the decoded mean of samples.
        seed: Seed of the sampled voxels.
    """
    seen = scan if brain is None else scan.with_data(scan.data * (brain > 0))
    foreground = (mean.data > FOREGROUND_SHARE * np.percentile(mean.data, 99.0)).astype(np.float32)
    shift = np.eye(4)
    shift[:3, 3] = _centroid(mean.with_data(foreground)) - _centroid(_bright(seen))
    found: list[Pose] = []
    for start in (shift, np.eye(4)):
        try:
            pose = register_rigid(mean, seen, foreground, start, seed)
        except InputError:  # this start leaves the scans apart; the other may not
            continue
        found.append(Pose(pose, pose_quality(seen, mean, foreground, pose)))
    best = max(found, key=lambda pose: pose.quality, default=None)
    if best is None:
        return PriorRefused(
            "the scan could not be brought onto the prior's mean image; expected a whole brain: "
            "tv is used instead"
        )
    if best.quality < LEAST_QUALITY:
        return PriorRefused(
            f"the scan resembles the prior's mean image by {best.quality:.2f} only; expected at "
            f"least {LEAST_QUALITY}: its contrast or its field of view is unknown to the prior, "
            "tv is used instead"
        )
    return best


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
    scan_world_from_prior_world: Affine = np.asarray(np.linalg.inv(pose))
    V = RigidResample(scan.grid, mean.grid, scan_world_from_prior_world)
    reached = V(torch.ones(scan.grid.shape)).numpy() > 0.5
    inside = reached & (foreground > 0)
    if inside.sum() < LEAST_OVERLAP * (foreground > 0).sum():
        return -1.0
    sigmas = [SMOOTHING_MM / s for s in mean.grid.spacing_mm]
    images = (V(torch.from_numpy(scan.data)).numpy(), mean.data)
    a, b = (gaussian_filter(image, sigmas)[inside] for image in images)
    if a.std() == 0.0 or b.std() == 0.0:
        return -1.0
    return float(np.corrcoef(a, b)[0, 1])


def _bright(volume: Volume) -> Volume:
    """Mark what is brighter than the mean of an image: a head rather than air."""
    return volume.with_data((volume.data > volume.data.mean()).astype(np.float32))


def _centroid(marked: Volume) -> Affine:
    """Return the middle of what is marked, in world millimetres, shape (3,)."""
    voxels = np.array(np.nonzero(marked.data > 0))
    middle = voxels.mean(axis=1) if voxels.size else (np.array(marked.data.shape) - 1) / 2.0
    affine = marked.grid.affine
    return np.asarray(affine[:3, :3] @ middle + affine[:3, 3])
