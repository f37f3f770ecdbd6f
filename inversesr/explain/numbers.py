"""Numbers of a brain that a reader knows: volumes of tissues, thickness of the cortex, contrast.

    m_dark + m_middle + m_bright = 1      memberships, linear between the means of the classes

Classes are three intensities of the voxels in the brain, found by k-means. In a T1-weighted image
they are mostly fluid, grey and white matter; in a T2-weighted one white, grey matter and fluid.
These are proxies: no atlas and no segmentation stand behind them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

# Deeper than this within the brain, fluid is that of the ventricles.
VENTRICLE_DEPTH_MM = 15.0
N_ROUNDS = 40
FLUID, VENTRICLES, GREY, WHITE, THICKNESS, CONTRAST = (
    "fluid-like volume", "ventricle-like volume", "grey-like volume", "white-like volume",
    "cortical thickness proxy", "grey-white contrast",
)  # fmt: skip
UNITS = {
    FLUID: "mL", VENTRICLES: "mL", GREY: "mL", WHITE: "mL", THICKNESS: "mm", CONTRAST: "",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Ruler:
    """What numbers of an image are taken by: the same for all images that are compared.

    Attributes:
        brain: Where the brain is, 0 to 1, shape (X, Y, Z).
        deep: Where it is deeper than `VENTRICLE_DEPTH_MM`, 0 to 1.
        levels: Mean intensity of the dark, middle and bright class.
        spacing_mm: Voxel size.
        is_fluid_bright: Whether fluid is the bright class, as in T2-weighted images.
    """

    brain: torch.Tensor
    deep: torch.Tensor
    levels: tuple[float, float, float]
    spacing_mm: tuple[float, float, float]
    is_fluid_bright: bool = False

    @property
    def ml(self) -> float:
        """Volume of a voxel in mL."""
        x, y, z = self.spacing_mm
        return x * y * z / 1000.0

    def memberships(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return how much of each voxel is fluid, grey and white matter; they add up to 1."""
        low, middle, high = self.levels
        dark = ((middle - x) / max(middle - low, 1e-12)).clamp(0.0, 1.0)
        bright = ((x - middle) / max(high - middle, 1e-12)).clamp(0.0, 1.0)
        grey = 1.0 - dark - bright
        return (bright, grey, dark) if self.is_fluid_bright else (dark, grey, bright)

    def numbers(self, x: torch.Tensor) -> dict[str, float]:
        """Return the numbers of an image.

        Args:
            x: Image, shape of the brain.

        Returns:
            Volumes in mL; grey-like volume over the surface between grey and white, in mm; the
            difference of grey and white over their sum, where each of them is in the majority.
        """
        fluid, grey, white = (self.brain * m for m in self.memberships(x))
        volumes = [float(m.sum(dtype=torch.float64)) * self.ml for m in (fluid, grey, white)]
        surface = _surface_mm2(white, self.spacing_mm)
        ventricles = float((fluid * self.deep).sum(dtype=torch.float64)) * self.ml
        return {
            FLUID: volumes[0],
            VENTRICLES: ventricles,
            GREY: volumes[1],
            WHITE: volumes[2],
            THICKNESS: 1000.0 * volumes[1] / max(surface, 1e-12),
            CONTRAST: _contrast(x, grey, white),
        }


def make_ruler(
    x: torch.Tensor,
    brain: torch.Tensor,
    depth_mm: torch.Tensor,
    spacing_mm: tuple[float, float, float],
    *,
    is_fluid_bright: bool = False,
) -> Ruler:
    """Find the intensities of the tissues in an image.

    Args:
        x: Image, shape (X, Y, Z).
        brain: Where the brain is, 0 to 1.
        depth_mm: How deep within the brain each voxel lies.
        spacing_mm: Voxel size.
        is_fluid_bright: Whether fluid is the bright class.
    """
    deep = (depth_mm > VENTRICLE_DEPTH_MM).to(x)
    return Ruler(brain, deep, class_levels(x[brain > 0.5]), spacing_mm, is_fluid_bright)


def class_levels(values: torch.Tensor) -> tuple[float, float, float]:
    """Return the means of three classes of intensities by k-means, in ascending order.

    Args:
        values: Intensities, shape (n,), at least one.
    """
    ordered = values.flatten().double().sort().values
    at = [min(int(q * len(ordered)), len(ordered) - 1) for q in (0.05, 0.5, 0.95)]
    means = ordered[at]
    for _ in range(N_ROUNDS):
        cuts = torch.searchsorted(ordered, (means[1:] + means[:-1]) / 2.0).tolist()
        parts = torch.tensor_split(ordered, cuts)
        means = torch.stack([p.mean() if len(p) else m for p, m in zip(parts, means, strict=True)])
    low, middle, high = means.tolist()
    return low, middle, high


def _surface_mm2(white: torch.Tensor, spacing_mm: Sequence[float]) -> float:
    """Return the area of the boundary of a membership, by the total of its gradient."""
    slopes = torch.gradient(white, spacing=[float(s) for s in spacing_mm])
    steepness = sum((slope.square() for slope in slopes), torch.zeros_like(white)).sqrt()
    x, y, z = spacing_mm
    return float(steepness.sum(dtype=torch.float64)) * x * y * z


def _contrast(x: torch.Tensor, grey: torch.Tensor, white: torch.Tensor) -> float:
    """Return the difference of the mean intensities of two tissues over their sum."""
    found = [x[membership > 0.5] for membership in (grey, white)]
    if not all(len(values) for values in found):
        return 0.0
    of_grey, of_white = (float(values.mean(dtype=torch.float64)) for values in found)
    total = of_grey + of_white
    return (of_white - of_grey) / total if total > 0.0 else 0.0
