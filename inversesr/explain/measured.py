"""What of an image the data determine, what interpolation continues, and what the solver adds.

    x = A^+ A x  +  N s  +  N (x - s),      N = 1 - A^+ A

s is the spline interpolation of the scan. The first part, the measured one, is the least image
with the same data as x. The others lie in the null space of A: no datum changes with them.
|x|^2 = |A^+ A x|^2 + |N x|^2 holds for the whole image; detail is what deviates from the local
mean, so that the brightness of tissue, which every scan shows, does not hide the rest.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from inversesr.operators.inner_product import inner
from inversesr.operators.protocol import LinearOperator
from inversesr.operators.proximal import project
from inversesr.volume import Image

# A voxel whose detail is below this share of the brightest intensity shows nothing to judge.
LEAST_DETAIL = 1e-4
BRIGHT_PERCENTILE = 99.9


@dataclass(frozen=True, eq=False)
class Parts:
    """An image taken apart; the three add up to it.

    Attributes:
        measured: A^+ A x, which the data determine.
        interpolated: N s, which interpolation continues between the data.
        added: N (x - s), which the solver adds to that.
    """

    measured: torch.Tensor
    interpolated: torch.Tensor
    added: torch.Tensor

    @property
    def unmeasured(self) -> torch.Tensor:
        """N x, on which no datum depends."""
        return self.interpolated + self.added

    @property
    def whole(self) -> torch.Tensor:
        """The image."""
        return self.measured + self.unmeasured


@dataclass(frozen=True)
class Shares:
    """Energies of a region, in shares of 1.

    Attributes:
        n_voxels: Voxels of the region.
        intensity: Measured share of the energy of all intensities, the local mean included.
        detail: Measured share of the energy of the detail; None where there is no detail.
        added: Energy of what the solver adds to interpolation, over the energy of the detail.
    """

    n_voxels: int
    intensity: float | None
    detail: float | None
    added: float | None


@dataclass(frozen=True, eq=False)
class Energies:
    """Energies by voxel, shape of the image.

    Attributes:
        intensity: Of the measured and of the unmeasured part.
        detail: Of the measured part without its local mean, and of the unmeasured part.
        added: Of what the solver adds.
    """

    intensity: tuple[Image, Image]
    detail: tuple[Image, Image]
    added: Image


def take_apart(A: LinearOperator, x: torch.Tensor, s: torch.Tensor) -> Parts:
    """Take an image apart.

    Args:
        A: Forward operator.
        x: The image, shape A.in_shape.
        s: Interpolation of the scan, the same shape.
    """
    interpolated, unmeasured = null_space_part(A, s), null_space_part(A, x)
    return Parts(x - unmeasured, interpolated, unmeasured - interpolated)


def null_space_part(A: LinearOperator, x: torch.Tensor) -> torch.Tensor:
    """Return the part of an image on which no datum depends, N x."""
    return project(A, x, torch.zeros_like(A(x))).x


def whole_energy(x: torch.Tensor) -> float:
    """Return the sum of squares of an image, added up in double precision."""
    return float(inner(x, x))


def energies(parts: Parts, window_voxels: tuple[float, float, float]) -> Energies:
    """Return the energies of an image's parts by voxel.

    Args:
        parts: The parts.
        window_voxels: Standard deviation along each axis of the Gaussian of local means.
    """
    measured, unmeasured, added = (
        np.asarray(part.cpu().numpy(), dtype=np.float32)
        for part in (parts.measured, parts.unmeasured, parts.added)
    )
    detail = measured - ndimage.gaussian_filter(measured, window_voxels)
    unmeasured2 = unmeasured**2
    return Energies((measured**2, unmeasured2), (detail**2, unmeasured2), added**2)


def measured_map(found: Energies, window_voxels: tuple[float, float, float], x: Image) -> Image:
    """Return which share of the detail about each voxel the data determine, 0 to 1.

    Where there is no detail, as in air, nothing is in doubt, and the share is 1.

    Args:
        found: Energies by voxel.
        window_voxels: Standard deviation along each axis of the Gaussian about each voxel.
        x: The image.
    """
    known, unknown = (ndimage.gaussian_filter(part, window_voxels) for part in found.detail)
    least = np.float32((LEAST_DETAIL * np.percentile(np.abs(x), BRIGHT_PERCENTILE)) ** 2 + 1e-30)
    share: Image = (known + least) / (known + unknown + least)
    return np.clip(share, 0.0, 1.0)


def shares(found: Energies, inside: NDArray[np.bool_]) -> Shares:
    """Add up the energies of a region.

    Args:
        found: Energies by voxel.
        inside: Where the region is.
    """
    known, unknown = (float(part[inside].sum(dtype=np.float64)) for part in found.intensity)
    detail, rest = (float(part[inside].sum(dtype=np.float64)) for part in found.detail)
    added = float(found.added[inside].sum(dtype=np.float64))
    return Shares(
        int(np.count_nonzero(inside)),
        _share(known, known + unknown),
        _share(detail, detail + rest),
        _share(added, detail + rest),
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0.0 else None
