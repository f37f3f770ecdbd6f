"""Compressed sensing: argmin |A x - y|^2 / 2 + w |W x|_1, by FISTA.

W are wavelets, shifted at random in every step, so that the blocks they are made of do not show.

Reference: Lustig, Donoho, Pauly (2007), doi:10.1002/mrm.21391; Beck, Teboulle (2009), A fast
iterative shrinkage-thresholding algorithm for linear inverse problems, SIAM Journal on Imaging
Sciences 2(1):183-202, doi:10.1137/080716542.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inversesr.config import check_fields, option
from inversesr.measurements.kspace import KSpaceMeasurement
from inversesr.operators.wavelet import Wavelet
from inversesr.solvers.kspace.protocol import Entry, Reconstruction, Request

LARGEST_SHIFT = 16


@dataclass(frozen=True)
class L1Wavelet:
    """Options of `l1-wavelet`.

    Raises:
        InputError: a value is outside its range.
    """

    n_steps: int = option(60, "Iterations.", least=1)
    weight: float | None = option(
        None, "Weight of the wavelets, the image's bright end 1 [default: by the noise].", least=0
    )
    least_weight: float = option(0.0007, "Weight without noise.", least=0)
    per_noise: float = option(0.6, "What the noise adds to the weight.", least=0)

    def __post_init__(self) -> None:
        check_fields(self, "solver.")


def reconstruct(measurement: KSpaceMeasurement, request: Request) -> Reconstruction:
    """Return the image whose wavelets are sparse."""
    options, A, y = request.options, measurement.A, measurement.y
    weight = options.weight
    if weight is None:
        weight = options.least_weight + options.per_noise * measurement.sigma
    size = float(measurement.maps.abs().square().sum(0).max())
    axes = tuple(axis - 3 for axis in measurement.encoded)
    wavelet = Wavelet(measurement.shape, axes, n_levels(measurement.shape, axes))
    generator = torch.Generator().manual_seed(request.seed)
    x = A.adjoint(y) / size
    ahead, t = x, 1.0
    for step in range(options.n_steps):
        moved = ahead + A.adjoint(y - A(ahead)) / size
        shifts = torch.randint(LARGEST_SHIFT, (len(axes),), generator=generator).tolist()
        rolled = moved.roll(shifts, axes)
        shrunk = wavelet.adjoint(soften(wavelet(rolled), weight / size))
        following = shrunk.roll([-shift for shift in shifts], axes)
        t_following = (1.0 + math.sqrt(1.0 + 4.0 * t * t)) / 2.0
        ahead = following + (t - 1.0) / t_following * (following - x)
        x, t = following, t_following
        request.progress("l1-wavelet", step + 1, options.n_steps)
    return Reconstruction(x, f"stopped after {options.n_steps} steps", options.n_steps)


def n_levels(shape: tuple[int, int, int], axes: tuple[int, ...]) -> int:
    """Return how many levels an image has room for, at most 4."""
    shortest = min(shape[axis] for axis in axes)
    return max(min(4, int(math.log2(shortest)) - 2), 1)


def soften(c: Tensor, weight: float) -> Tensor:
    """Bring coefficients nearer to zero by a weight, their phase unchanged."""
    size = c.abs()
    return c * ((size - weight).clamp(min=0.0) / size.clamp(min=1e-12))


METHOD = Entry("Compressed sensing: sparse wavelets.", L1Wavelet, reconstruct)
