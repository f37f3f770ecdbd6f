"""What a set of posterior samples says: mean, spread, quantiles."""

from dataclasses import dataclass

import torch
from torch import Tensor

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Voxels that are sorted at a time.
SLAB_VOXELS = 1_000_000


@dataclass(frozen=True, eq=False)
class Posterior:
    """Summary of samples, voxel by voxel.

    Attributes:
        mean: Mean.
        sd: Standard deviation with n - 1 in the denominator; zero for a single sample.
        quantiles: Quantile in [0, 1] -> image.
    """

    mean: Tensor
    sd: Tensor
    quantiles: dict[float, Tensor]


def summarise(samples: Tensor, quantiles: tuple[float, ...] = QUANTILES) -> Posterior:
    """Summarise samples of shape (n, *image shape)."""
    mean = samples.mean(dim=0)
    sd = samples.std(dim=0) if len(samples) > 1 else torch.zeros_like(mean)
    flat = samples.reshape(len(samples), -1)
    q = torch.tensor(quantiles, dtype=samples.dtype, device=samples.device)
    slabs = [torch.quantile(part, q, dim=0) for part in torch.split(flat, SLAB_VOXELS, dim=1)]
    images = torch.cat(slabs, dim=1).reshape(len(quantiles), *samples.shape[1:])
    return Posterior(mean, sd, dict(zip(quantiles, images, strict=True)))
