"""Every operator that exists, small: a new one joins the battery of laws by one line."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from inversesr.operators.axis_order import AxisOrder, axis_last
from inversesr.operators.blur import gaussian_blur
from inversesr.operators.coils import Coils
from inversesr.operators.complex_numbers import RealImage, RealPairs
from inversesr.operators.compose import Adjoint, Composed, Diagonal, Stacked
from inversesr.operators.fourier import Fourier, SampledFourier
from inversesr.operators.interpolation import spline_operator
from inversesr.operators.resample import RigidResample
from inversesr.operators.sampling import Sampling
from inversesr.operators.separable import SeparableOperator
from inversesr.operators.slice_profile import slice_matrix
from inversesr.operators.slices_in_time import SlicesInTime, instants
from inversesr.operators.wavelet import Wavelet
from inversesr.volume import Grid
from tests.support.laws import normal

SHAPE = (2, 3, 6)


@dataclass(frozen=True)
class Case:
    """An operator and what its images may be.

    Attributes:
        operator: The operator.
        images: "real", "complex" or "both".
    """

    operator: Any
    images: str = "real"

    @property
    def kinds(self):
        """Whether images are complex, for each kind that there is."""
        return {"real": (False,), "complex": (True,), "both": (False, True)}[self.images]


def marks(shape, share, seed=0):
    """Return a mask with about a share of its places marked."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share


def averaging(n_slices, spacing_mm, thickness_mm, profile="rect"):
    """Slices of a line of 1 mm voxels that they just cover."""
    n = round(n_slices * spacing_mm)
    edges = np.arange(n + 1) - n / 2.0
    centres = (np.arange(n_slices) - (n_slices - 1) / 2.0) * spacing_mm
    return slice_matrix(edges, centres, thickness_mm, profile)


def turned(source, target):
    """Resampling by a turn and a shift."""
    pose = np.eye(4)
    pose[:2, :2] = [[0.96, -0.28], [0.28, 0.96]]
    pose[:3, 3] = [0.3, -0.4, 0.2]
    return RigidResample(Grid(source, np.eye(4)), Grid(target, np.eye(4)), pose)


def sensitivities(n_coils, shape, seed=5):
    """Sensitivities of random coils, not too small anywhere."""
    return 0.5 + normal((n_coils, *shape), seed, torch.complex128)


SLICES = SeparableOperator(SHAPE, (None, None, averaging(2, 3.0, 3.0)))
GAP = SeparableOperator(SHAPE, (None, None, averaging(2, 3.0, 2.0, "gaussian")))
OVERLAP = SeparableOperator(SHAPE, (None, None, averaging(3, 2.0, 3.0)))
ACROSS = SeparableOperator(SHAPE, (None, averaging(2, 1.5, 1.5), None))
TWICE = SeparableOperator(
    SHAPE, (None, None, np.vstack([averaging(2, 3.0, 3.0), averaging(2, 3.0, 3.0)[:1]]))
)
BLUR = gaussian_blur(SHAPE, (1.0, 1.0, 2.0), (1.5, 2.0, 0.0))
THICK = Grid((2, 3, 2), np.diag([1.0, 1.0, 3.0, 1.0]))
WEIGHTED = Diagonal(normal((2, 2, 6), 4)) @ ACROSS
KSPACE = Sampling(marks(SHAPE, 0.5)) @ Fourier(SHAPE)
SENSE = Sampling(marks(SHAPE, 0.4), (2,)) @ Fourier((2, *SHAPE)) @ Coils(sensitivities(2, SHAPE))

STILL = SlicesInTime(SLICES, (None, None), instants(np.array([[0.0, 0.4], [1.0, 2.7]]), 3), 2)
MOVING = SlicesInTime(
    SLICES,
    (turned((2, 3, 4), SHAPE), turned((2, 3, 4), SHAPE)),
    instants(np.array([[0.0, 0.5], [1.0, 1.5]]), 2),
    2,
)

OPERATORS = {
    "slices": Case(SLICES, "both"),
    "slices with gap": Case(GAP, "both"),
    "overlapping slices": Case(OVERLAP, "both"),
    "slices along another axis": Case(ACROSS, "both"),
    "a slice measured twice": Case(TWICE, "both"),
    "blur within the slice": Case(BLUR, "both"),
    "slices of a blurred image": Case(SLICES @ BLUR, "both"),
    "spline": Case(spline_operator(THICK, Grid(SHAPE, np.eye(4)))),
    "resampling": Case(turned(SHAPE, (3, 2, 4))),
    "slices of a moved head": Case(SLICES @ turned((3, 4, 5), SHAPE)),
    "voxels": Case(Sampling(marks(SHAPE, 0.6)), "both"),
    "voxels of slices": Case(Sampling(marks(SLICES.out_shape, 0.7)) @ SLICES, "both"),
    "axis last": Case(axis_last(SHAPE, 1), "both"),
    "axes reversed": Case(AxisOrder(SHAPE, (1, 2, 0), (0, 2)), "both"),
    "slices of a turned image": Case(SLICES @ axis_last((2, 6, 3), 1), "both"),
    "weights": Case(Diagonal(normal(SHAPE, 3).abs().round()), "both"),
    "complex weights": Case(Diagonal(normal(SHAPE, 3, torch.complex128)), "complex"),
    "weighted slices": Case(Diagonal(normal(SLICES.out_shape, 3).abs()) @ SLICES, "both"),
    "adjoint": Case(Adjoint(SLICES), "both"),
    "adjoint of a moved head": Case((SLICES @ turned((3, 4, 5), SHAPE)).H),
    "adjoint of real k-space": Case(SampledFourier(marks(SHAPE, 0.5)).H, "complex"),
    "two stacks": Case(Stacked((SLICES, ACROSS)), "both"),
    "two weighted stacks": Case(Stacked((SLICES, WEIGHTED)), "both"),
    "product": Case(Composed(ACROSS, axis_last((2, 6, 3), 1)), "both"),
    "Fourier": Case(Fourier(SHAPE), "complex"),
    "Fourier within the slice": Case(Fourier((2, 3, 4), (-2, -1)), "complex"),
    "k-space": Case(KSPACE, "complex"),
    "k-space of a real image": Case(SampledFourier(marks(SHAPE, 0.5))),
    "k-space of a real slice": Case(SampledFourier(marks((2, 3, 4), 0.5, 1), (-2, -1))),
    "k-space of thick slices": Case(SampledFourier(marks((2, 3, 2), 0.7)) @ SLICES),
    "real image": Case(RealImage(SHAPE)),
    "complex numbers as pairs": Case(RealPairs(SHAPE), "complex"),
    "k-space as pairs": Case(RealPairs(KSPACE.out_shape) @ KSPACE, "complex"),
    "wavelets": Case(Wavelet((2, 3, 6), (-2, -1), 1), "both"),
    "wavelets of two levels": Case(Wavelet((2, 4, 5), (-2, -1), 2), "both"),
    "coils": Case(Coils(sensitivities(3, SHAPE)), "complex"),
    "multi-coil k-space": Case(SENSE, "complex"),
    "slices at their times": Case(STILL),
    "slices of a moving head at their times": Case(MOVING),
    "multi-coil k-space of a real image": Case(SENSE @ RealImage(SHAPE)),
}  # fmt: skip
