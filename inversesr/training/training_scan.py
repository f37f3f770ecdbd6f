"""A scan as it is kept in memory for training, one byte or two a voxel."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, eq=False)
class TrainingScan:
    """A training volume.

    Attributes:
        name: File name without its suffix.
        voxels: Intensities (uint8, 0 to white) or labels (int16), shape (X, Y, Z), cropped.
        white: Intensity that counts as one.
        sharp_axes: Axes along which the voxels are as small as the scan's smallest.
        spacing_mm: Distance between voxels along the sharp axes.
    """

    name: str
    voxels: torch.Tensor
    white: float
    sharp_axes: tuple[int, ...]
    spacing_mm: float

    @property
    def is_labels(self) -> bool:
        """Whether this is a label map."""
        return self.voxels.dtype == torch.int16
