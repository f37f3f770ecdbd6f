"""How thick slices lie in a volume: what the super-resolution network is told of them."""

from dataclasses import dataclass

import torch

# Slices that the network can thin, in fine voxels: those of its training and a little beyond, and
# thinner ones that lie as far apart (docs/explanation/benchmarks.md has what it gains on them).
KNOWN_THICKNESS = (1.5, 12.0)
KNOWN_DISTANCE = (3.0, 12.0)
THINNEST = 1.0


@dataclass(frozen=True)
class SliceGeometry:
    """How thick slices lie along the last axis, in fine voxels.

    Attributes:
        thickness: Full width at half maximum of a slice.
        spacing: Distance between neighbouring slice centres.
        first_centre: Position of any one slice centre; fine voxel 0 has its centre at 0.
    """

    thickness: float
    spacing: float
    first_centre: float

    @property
    def is_known(self) -> bool:
        """Whether the network thins such slices better than it would do nothing at all."""
        # lengths in headers are single precision
        thickness, spacing = round(self.thickness, 3), round(self.spacing, 3)
        if spacing > KNOWN_DISTANCE[1]:
            return False
        is_thick = KNOWN_THICKNESS[0] <= thickness <= KNOWN_THICKNESS[1]
        return is_thick or (thickness >= THINNEST and spacing >= KNOWN_DISTANCE[0])

    def as_tensor(self) -> torch.Tensor:
        """Return the row of numbers that the network reads, shape (3,)."""
        return torch.tensor([self.thickness, self.spacing, self.first_centre])

    def every(self, stride: int, first: int) -> "SliceGeometry":
        """Return how every stride-th slice lies, slice number `first` among them."""
        start = self.first_centre + first * self.spacing
        return SliceGeometry(self.thickness, stride * self.spacing, start)

    def flipped(self, n_voxels: int) -> "SliceGeometry":
        """Return how the slices lie once an axis of n_voxels is reversed."""
        first = (n_voxels - 1 - self.first_centre) % self.spacing
        return SliceGeometry(self.thickness, self.spacing, first)
