"""One of several scans: its place and its intensities with respect to the first one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch

from inversesr.acquisition.geometry import Acquisition
from inversesr.io.nifti import Scan
from inversesr.operators.compose import Composed, Diagonal, Stacked
from inversesr.operators.protocol import LinearOperator
from inversesr.operators.resample import RigidResample
from inversesr.volume import Grid

# A voxel of a stack counts when this much of it lies inside the common grid.
LEAST_COVERAGE = 0.99


@dataclass(frozen=True, eq=False)
class Stack:
    """One scan, its place and its intensities with respect to the first one.

    Attributes:
        scan: The scan as it was read.
        grid: Its voxels near the mask.
        acquisition: How it was taken.
        operator: A_k W_k, from the common fine grid to its voxels near the mask.
        coverage: Share of each voxel that the common grid (within the mask) covers, shape
            operator.out_shape.
        motion_mm: Largest displacement that registration found, in the part that is fused.
        gain: By which its own intensities were multiplied to reach the first scan's scale.
        y: Its intensities on the first scan's scale, shape operator.out_shape.
        sigma: Noise on that scale.
        likeness: Of its details and the first scan's; see `detail_likeness`.
    """

    scan: Scan
    grid: Grid
    acquisition: Acquisition
    operator: LinearOperator
    coverage: torch.Tensor
    motion_mm: float
    gain: float
    y: torch.Tensor
    sigma: float
    likeness: float | None = None

    @property
    def forward(self) -> LinearOperator:
        """A_k, from its own fine grid to its voxels."""
        return self.operator.outer if isinstance(self.operator, Composed) else self.operator

    @property
    def resample(self) -> RigidResample:
        """W_k, from the common fine grid to its own; of another stack than the first."""
        return cast(RigidResample, cast(Composed, self.operator).inner)


def whitened(stacks: Sequence[Stack]) -> tuple[Stacked, torch.Tensor]:
    """All stacks as one operator whose noise is 1, leaving out what the grid does not cover."""
    operators, parts = [], []
    for stack in stacks:
        weights = (stack.coverage >= LEAST_COVERAGE).to(stack.y) / stack.sigma
        operators.append(Composed(Diagonal(weights), stack.operator))
        parts.append((weights * stack.y).reshape(-1))
    return Stacked(tuple(operators)), torch.cat(parts)
