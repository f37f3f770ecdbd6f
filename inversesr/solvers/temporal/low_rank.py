"""Low rank of small regions: in a few centimetres of brain only a few courses in time occur.

    M = U S V',     M^ = U eta(S) V',     eta(s) = sqrt((s^2 - b - 1)^2 - 4 b) / s for s > 1 + sqrt(b)

M holds the courses of one region, (volumes, voxels) and b is the ratio of these numbers; s is
counted in noise, sigma sqrt(voxels). eta is the shrinkage of least expected error; what noise alone
would give becomes nothing. sigma is known from the median singular value. Regions overlap, and
what they say of a voxel is averaged.

Reference: Gavish, Donoho (2017), Optimal shrinkage of singular values, IEEE Transactions on
Information Theory 63(4):2137-2152, doi:10.1109/TIT.2017.2653801; Moeller et al. (2021), NOise
reduction with DIstribution Corrected (NORDIC) PCA in dMRI with complex-valued parameter-free
locally low-rank processing, NeuroImage 226:117539, doi:10.1016/j.neuroimage.2020.117539.
"""  # noqa: E501 (an equation)

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from scipy.integrate import cumulative_trapezoid

# Voxels of a region along the two axes within the slice and across the slices.
REGION = (8, 8, 4)
# Regions begin this many voxels apart.
STEP = (4, 4, 2)
N_OF_LAW = 20001


@dataclass(frozen=True, eq=False)
class Courses:
    """A series without most of its noise.

    Attributes:
        x: The series, the shape of what was given.
        sigma: Standard deviation of the noise of each voxel, shape of one volume.
        rank: Mean number of courses that were kept about each voxel, shape of one volume.
    """

    x: torch.Tensor
    sigma: torch.Tensor
    rank: torch.Tensor


def low_rank(y: torch.Tensor, slice_axis: int = 2) -> Courses:
    """Keep what is more than noise in the courses of small regions.

    Args:
        y: Series whose noise is white, shape (n_volumes, X, Y, Z), best without its mean.
        slice_axis: Axis of a volume across the slices.
    """
    series = y.movedim(slice_axis + 1, -1)
    total, weight = torch.zeros_like(series), torch.zeros_like(series[0])
    sigma, rank = torch.zeros_like(weight), torch.zeros_like(weight)
    size = [min(n, m) for n, m in zip(REGION, weight.shape, strict=True)]
    starts = [_starts(n, m, step) for n, m, step in zip(weight.shape, size, STEP, strict=True)]
    for i in starts[0]:
        for k in starts[2]:
            band = series[:, i : i + size[0], :, k : k + size[2]]
            regions = torch.stack([band[:, :, j : j + size[1]] for j in starts[1]])
            kept, noise, n_kept = _shrunk(regions.reshape(*regions.shape[:2], -1))
            kept = kept.reshape(regions.shape)
            for n, j in enumerate(starts[1]):
                box = (slice(i, i + size[0]), slice(j, j + size[1]), slice(k, k + size[2]))
                total[(slice(None), *box)] += kept[n]
                weight[box] += 1.0
                sigma[box] += noise[n]
                rank[box] += n_kept[n]
    x, sigma, rank = total / weight, sigma / weight, rank / weight
    return Courses(*(a.movedim(-1, slice_axis - 3).contiguous() for a in (x, sigma, rank)))


def _starts(n: int, size: int, step: int) -> list[int]:
    """Return where regions begin, so that all voxels are in one."""
    return sorted({*range(0, n - size + 1, step), n - size})


def _shrunk(M: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return courses, their noise and their rank, for a batch of (n, n_volumes, n_voxels)."""
    n_volumes, n_voxels = M.shape[1:]
    is_wide = n_voxels >= n_volumes
    courses = M.double() if is_wide else M.double().mT
    short, long = courses.shape[1:]
    values, U = torch.linalg.eigh(courses @ courses.mT)
    s = values.clamp_min(0.0).sqrt()
    ratio = short / long
    unit = s.median(dim=1).values / median_of_noise(round(ratio, 3)) ** 0.5
    counted = s / unit.clamp_min(1e-30)[:, None]
    above = counted > 1.0 + ratio**0.5
    square = ((counted**2 - ratio - 1.0) ** 2 - 4.0 * ratio).clamp_min(0.0)
    gain = torch.where(above, square.sqrt() / counted.clamp_min(1e-30) ** 2, 0.0)
    kept = U @ (gain[:, :, None] * (U.mT @ courses))
    return (
        (kept if is_wide else kept.mT).to(M),
        (unit / long**0.5).to(M),
        above.sum(dim=1).to(M),
    )


@cache
def median_of_noise(ratio: float) -> float:
    """Return the median of Marchenko's and Pastur's law: of squared singular values of noise.

    Args:
        ratio: Of the smaller to the larger length of the matrix, above 0, at most 1.
    """
    low, high = (1.0 - ratio**0.5) ** 2, (1.0 + ratio**0.5) ** 2
    # steps that are fine at both ends, where the density has roots or a pole
    x = low + (high - low) * (1.0 - np.cos(np.linspace(0.0, np.pi, N_OF_LAW))) / 2.0
    density = np.sqrt(np.clip((high - x) * (x - low), 0.0, None)) / np.maximum(x, 1e-12)
    mass = cumulative_trapezoid(density, x, initial=0)
    return float(np.interp(0.5 * mass[-1], mass, x))
