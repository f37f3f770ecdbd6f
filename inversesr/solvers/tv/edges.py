"""Which way the edges of an image run: the normal of each, and how sure it is.

    J = smooth(g g'),   g the gradient;   n its first eigenvector, l its eigenvalue
    certainty = max(0, 2 l - trace J) / (l + floor^2)

An edge has one direction in which intensity changes and two in which it does not; noise and
corners have no such direction, and their certainty is near zero.

Reference: Foerstner, Guelch (1987), A fast operator for detection and precise location of
distinct points, corners and centres of circular features, ISPRS Intercommission Workshop,
Interlaken, 281-305; Weickert (1998), Anisotropic diffusion in image processing, Teubner.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

# Standard deviation in voxels by which the image is smoothed before its gradient is taken.
SMOOTH_IMAGE = 0.5
# Changes from voxel to voxel below this share of the intensity range are no edges.
FLOOR = 0.01
# From the gradient itself the first eigenvector is near already.
N_POWER_STEPS = 6


def edge_field(x: torch.Tensor, reach: Sequence[float]) -> list[torch.Tensor]:
    """Return the normals of an image's edges, their lengths the square roots of the certainty.

    Args:
        x: Image, any number of axes.
        reach: Standard deviation in voxels over which directions are averaged, for each axis.

    Returns:
        One component for each axis, of the shape of x; lengths from 0 to below 1.
    """
    image = x.detach().cpu().numpy()
    floor = FLOOR * float(image.max() - image.min()) or 1.0
    smooth = gaussian_filter(image, SMOOTH_IMAGE)
    slopes = [np.gradient(smooth, axis=axis) / floor for axis in range(x.ndim)]
    tensor = {
        (a, b): torch.from_numpy(gaussian_filter(slopes[a] * slopes[b], reach)).to(x)
        for a in range(x.ndim)
        for b in range(a, x.ndim)
    }
    normal = [torch.from_numpy(slope).to(x) for slope in slopes]
    for _ in range(N_POWER_STEPS):
        normal, largest = _power_step(tensor, normal)
    trace = sum(tensor[a, a] for a in range(1, x.ndim)) + tensor[0, 0]
    certainty = (2.0 * largest - trace).clamp_(min=0.0).div_(largest + 1.0)
    length = certainty.sqrt_()
    return [component.mul_(length) for component in normal]


def _power_step(
    tensor: dict[tuple[int, int], torch.Tensor], vector: list[torch.Tensor]
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Multiply unit vectors by symmetric tensors; return unit vectors and the lengths before."""
    axes = range(len(vector))
    product = []
    for a in axes:
        row = tensor[0, a] * vector[0]
        for b in axes[1:]:
            row.addcmul_(tensor[min(a, b), max(a, b)], vector[b])
        product.append(row)
    length = product[0].square()
    for component in product[1:]:
        length.addcmul_(component, component)
    length.sqrt_()
    shrink = length.clamp(min=torch.finfo(length.dtype).tiny).reciprocal_()
    return [component.mul_(shrink) for component in product], length
