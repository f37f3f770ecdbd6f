"""GroupNorm of an image that is held as slabs, with the statistics of the whole.

    M2 = sum_k M2_k + n_k (mean_k - mean)^2,        var = M2 / n

Reference: Chan, Golub, LeVeque (1983), Algorithms for computing the sample variance,
doi:10.1080/00031305.1983.10483115.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Slabs = list[Tensor]
Fill = Callable[[Tensor, Tensor], None]
# For kernels of batch normalisation: statistics are given, and running ones are not kept.
_TRAINING, _MOMENTUM = False, 0.0


def activation(slabs: Slabs, norm: nn.GroupNorm) -> Fill:
    """Return GroupNorm with the statistics of all slabs, followed by SiLU."""
    normalise = normaliser(slabs, norm)

    def fill(part: Tensor, place: Tensor) -> None:
        normalise(part, place)
        torch.ops.aten.silu.out(place, out=place)

    return fill


def normaliser(slabs: Slabs, norm: nn.GroupNorm) -> Fill:
    """Return GroupNorm with the statistics of all slabs."""
    mean, variance = group_statistics(slabs, norm)
    each = norm.num_channels // norm.num_groups
    by_channel = [v.to(norm.weight).repeat_interleave(each) for v in (mean, variance)]
    unused = mean.new_empty(0, dtype=norm.weight.dtype)

    def fill(part: Tensor, place: Tensor) -> None:
        torch.ops.aten.native_batch_norm.out(
            part,
            norm.weight,
            norm.bias,
            *by_channel,
            _TRAINING,
            _MOMENTUM,
            norm.eps,
            out=place,
            save_mean=unused,
            save_invstd=unused,
        )

    return fill


def group_statistics(slabs: Slabs, norm: nn.GroupNorm) -> tuple[Tensor, Tensor]:
    """Compute mean and variance of every group over all slabs.

    Args:
        slabs: Parts of one image, shapes (1, C, ., Y, Z), dense.
        norm: The normalisation, for its groups.

    Returns:
        Means and (biased) variances, shape (n_groups,), float64.
    """
    n_channels = norm.num_channels
    count, mean, squares = 0, torch.zeros(1), torch.zeros(1)
    # plane by plane: over a whole slab, sums in float32 would lose the fifth digit
    for plane in (p for slab in slabs for p in torch.split(slab, 1, dim=2)):
        added = plane[0, 0].numel()
        # statistics of float32 are handed out in float32 even where the slab is bfloat16
        running = [torch.zeros(n_channels, device=plane.device) for _ in range(2)]
        found = torch.ops.aten.batch_norm_update_stats(plane, *running, _MOMENTUM)
        m, variance = (v.double() for v in found)
        own = variance * added
        if count == 0:
            count, mean, squares = added, m, own
            continue
        shift = m - mean
        total = count + added
        squares = squares + own + shift**2 * (count * added / total)
        mean, count = mean + shift * (added / total), total
    # channels of one size merge to groups by plain means
    mean, variance = (v.reshape(norm.num_groups, -1) for v in (mean, squares / count))
    centre = mean.mean(dim=1)
    return centre, (variance + (mean - centre[:, None]) ** 2).mean(dim=1)
