"""Thick slices of sharp patches, and the linear maps that undo what can be undone.

    y = A x + noise,   start = S y + A^+ (y - A S y),
    consistent(x) = (I - A^+ A) x + A^+ y

A is the slice matrix along the last axis, S cubic interpolation and A^+ the pseudo-inverse. All
are small matrices, so a patch is degraded, interpolated and made consistent by products alone.
Networks that thin slices are trained on such examples, and fine-tuned on a scan by them.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from inversesr.operators.slice_profile import slice_matrix
from inversesr.priors.networks.slice_geometry import SliceGeometry

# A slice that would stick out further than this is not measured.
LARGEST_OVERHANG = 0.25


@dataclass(frozen=True, eq=False)
class SliceMaps:
    """The matrices of one slice geometry, all acting along the last axis.

    Attributes:
        A: Slices from voxels, shape (n_slices, n_voxels).
        spline: Cubic interpolation, voxels from slices, shape (n_voxels, n_slices).
        pinv: Pseudo-inverse of A, shape (n_voxels, n_slices).
    """

    A: torch.Tensor
    spline: torch.Tensor
    pinv: torch.Tensor

    @property
    def null(self) -> torch.Tensor:
        """What slices do not see, I - A^+ A, shape (n_voxels, n_voxels)."""
        return torch.eye(len(self.pinv), device=self.A.device) - self.pinv @ self.A

    @property
    def consistent_spline(self) -> torch.Tensor:
        """Cubic interpolation made to reproduce the slices, shape (n_voxels, n_slices)."""
        return self.null @ self.spline + self.pinv

    def to(self, device: torch.device) -> "SliceMaps":
        """Return the matrices on a device."""
        return SliceMaps(self.A.to(device), self.spline.to(device), self.pinv.to(device))


@dataclass(frozen=True, eq=False)
class SliceExamples:
    """Patches, shape (B, 1, X, Y, Z), and what makes an estimate of them consistent.

    Attributes:
        truth: Sharp patches.
        start: Cubic interpolation of the thick slices, made consistent with them.
        slices: Rows of slice geometry, shape (B, 3).
        null: I - A^+ A, shape (B, Z, Z).
        measured: A^+ y.
        noise: Standard deviation of the noise of the slices, shape (B,).
    """

    truth: torch.Tensor
    start: torch.Tensor
    slices: torch.Tensor
    null: torch.Tensor
    measured: torch.Tensor
    noise: torch.Tensor

    def make_consistent(self, x: torch.Tensor) -> torch.Tensor:
        """Return the nearest images that reproduce the slices."""
        return self.unseen(x) + self.measured

    def unseen(self, v: torch.Tensor) -> torch.Tensor:
        """Return what of some images no slice shows."""
        return torch.einsum("bcxyk,bzk->bcxyz", v, self.null)

    def to(self, device: torch.device) -> "SliceExamples":
        """Return the batch on a device."""
        return SliceExamples(
            **{entry.name: getattr(self, entry.name).to(device) for entry in fields(self)}
        )


def make_example(
    truth: torch.Tensor,
    geometry: SliceGeometry,
    profile: str,
    sigma: float,
    generator: torch.Generator,
) -> SliceExamples:
    """Make a batch of one patch: measure its slices, interpolate them.

    Args:
        truth: Sharp patch, shape (X, Y, Z), about [0, 1].
        geometry: Where the slices lie along Z.
        profile: Name of the slice profile.
        sigma: Standard deviation of the slices' Rician noise; 0 for none.
        generator: Source of noise.
    """
    maps = slice_maps(geometry, profile, truth.shape[-1])
    y = truth @ maps.A.T
    if sigma > 0.0:
        y = add_rician_noise(y, sigma, generator)
    return SliceExamples(
        truth=truth[None, None],
        start=(y @ maps.consistent_spline.T)[None, None],
        slices=geometry.as_tensor()[None],
        null=maps.null[None],
        measured=(y @ maps.pinv.T)[None, None],
        noise=torch.tensor([sigma]),
    )


def collate(batches: list[SliceExamples]) -> SliceExamples:
    """Join batches into one."""
    names = [entry.name for entry in fields(SliceExamples)]
    return SliceExamples(
        **{name: torch.cat([getattr(b, name) for b in batches]) for name in names}
    )


def add_rician_noise(y: torch.Tensor, sigma: float, generator: torch.Generator) -> torch.Tensor:
    """Return the magnitude of y plus complex Gaussian noise."""
    real, imaginary = sigma * torch.randn((2, *y.shape), generator=generator)
    return torch.hypot(y + real, imaginary)


def slice_maps(geometry: SliceGeometry, profile: str, n_voxels: int) -> SliceMaps:
    """Build the matrices that degrade, interpolate and make consistent along an axis.

    Args:
        geometry: Where the slices lie.
        profile: Name of the slice profile.
        n_voxels: Length of the axis.

    Returns:
        Matrices of all slices of the stack that are inside, or stick out by at most a quarter.
    """
    overhang = LARGEST_OVERHANG * geometry.thickness
    numbers = np.arange(-n_voxels, n_voxels, dtype=np.float64)
    centres = geometry.first_centre + geometry.spacing * numbers
    half = geometry.thickness / 2.0
    inside = (centres - half >= -0.5 - overhang) & (centres + half <= n_voxels - 0.5 + overhang)
    centres = centres[inside]
    edges = np.arange(n_voxels + 1, dtype=np.float64) - 0.5
    A = slice_matrix(edges, centres, geometry.thickness, profile)
    pinv = np.linalg.pinv(A)
    spline = cubic_from_slices(centres, n_voxels)
    return SliceMaps(*(torch.from_numpy(m.astype(np.float32)) for m in (A, spline, pinv)))


def cubic_from_slices(centres: NDArray[np.float64], n_voxels: int) -> NDArray[np.float64]:
    """Return the matrix of cubic spline interpolation, shape (n_voxels, n_slices)."""
    n_slices = len(centres)
    spacing = (centres[-1] - centres[0]) / max(1, n_slices - 1) or 1.0
    rows = (np.arange(n_voxels) - centres[0]) / spacing
    coordinates = np.meshgrid(rows, np.arange(n_slices), indexing="ij")
    matrix = map_coordinates(np.eye(n_slices), coordinates, order=3, mode="nearest")
    return np.asarray(matrix, dtype=np.float64)


def consistent_error(
    x: torch.Tensor, batch: SliceExamples, scale: float, gradient_weight: float
) -> torch.Tensor:
    """Return the error of a batch after data consistency.

        f(e) + gradient_weight f(D e),      e = consistent(x) - truth

    f is the Charbonnier penalty and D finite differences. Training through data
    consistency spends a network's capacity on what the slices do not show.

    Args:
        x: Output of the network, shape (B, 1, X, Y, Z).
        batch: What it was made of.
        scale: Error at which the penalty turns from squared to absolute.
        gradient_weight: Weight of the finite differences.
    """
    error = batch.make_consistent(x) - batch.truth
    loss = charbonnier(error, scale)
    for axis in (2, 3, 4):
        loss = loss + gradient_weight / 3.0 * charbonnier(error.diff(dim=axis), scale)
    return loss


def charbonnier(error: torch.Tensor, scale: float) -> torch.Tensor:
    """Return the mean of a penalty that is squared for small errors, absolute for large ones."""
    return (torch.sqrt(error**2 + scale**2) - scale).mean()
