"""What a solver with a prior has to solve, and how its images are composed.

    y = A x + sigma n,      x = m (gain W D(z) + offset) + (1 - m) s(y) = G(z)

W takes the prior grid to the fine grid, V back; m says where the prior speaks; s(y) is the spline
interpolation of the scan. Everything is in the intensities of the prior, 0 to 1.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from inversesr.operators.protocol import LinearOperator
from inversesr.priors.instrumented import InstrumentedPrior
from inversesr.solvers.tracing import show

# A scan without noise still differs from any image by rounding and interpolation.
SMALLEST_SIGMA = 1e-3
# Standard deviations of gain and offset about 1 and 0: percentiles already matched most of it.
GAIN_SD, OFFSET_SD = 0.2, 0.1


@dataclass(frozen=True)
class IntensityScale:
    """Intensities of a scan in those of a prior: scan = low + width * unit.

    Attributes:
        low: Intensity of the scan that is 0 for the prior.
        width: Difference of the scan's intensities that is 1 for the prior, above 0.
    """

    low: float = 0.0
    width: float = 1.0

    def to_unit(self, scan: Tensor) -> Tensor:
        """Return a scan's intensities as the prior sees them."""
        return (scan - self.low) / self.width

    def from_unit(self, unit: Tensor) -> Tensor:
        """Return the prior's intensities as the scan's."""
        return self.low + self.width * unit


@dataclass(frozen=True, eq=False)
class Problem:
    """A scan, how it was taken, and where the prior lies.

    Attributes:
        A: Forward operator, fine grid -> data.
        y: Data in the prior's intensities, shape A.out_shape.
        sigma: Standard deviation of its noise, likewise.
        interpolate: Spline interpolation, scan grid -> fine grid; None where the data are no
            slices, and `warm` is given.
        W: Prior grid -> fine grid.
        V: Fine grid -> prior grid; zero where the fine grid does not reach.
        m: Weight of the prior on the fine grid, 0 to 1, shape A.in_shape.
        slice_axis: Axis across the slices.
        scale: The scan's own intensities.
        warm: First guess in the prior's intensities, shape A.in_shape; None takes the spline.
        blurred: Returns A for slices that are thicker by a factor; None where that is unknown.
        facts: What was found while the prior was placed.
        notes: What should be known of that, in sentences.
    """

    A: LinearOperator
    y: Tensor
    sigma: float
    interpolate: LinearOperator | None
    W: LinearOperator
    V: LinearOperator
    m: Tensor
    slice_axis: int
    scale: IntensityScale = field(default_factory=IntensityScale)
    warm: Tensor | None = None
    blurred: Callable[[float], LinearOperator] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def s(self) -> Tensor:
        """Spline interpolation of the scan, or else the first guess, shape A.in_shape."""
        if self.interpolate is not None:
            return self.interpolate(self.y)
        if self.warm is None:
            message = "found neither slices nor a first guess; expected one of them"
            raise ValueError(message)
        return self.warm

    @property
    def start(self) -> Tensor:
        """First guess of the image, shape A.in_shape."""
        return self.s if self.warm is None else self.warm

    @cached_property
    def coverage(self) -> Tensor:
        """Share of each voxel of the prior grid that the fine grid reaches."""
        return self.V(torch.ones_like(self.m)).clamp(0.0, 1.0)

    @property
    def data_sigma(self) -> float:
        """Standard deviation with which the scan is weighted, above 0."""
        return max(self.sigma, SMALLEST_SIGMA)

    def compose(self, decoded: Tensor, gain: float | Tensor = 1.0, offset: float = 0.0) -> Tensor:
        """Return the image on the fine grid: the prior where m, the spline elsewhere.

        Args:
            decoded: D(z), shape W.in_shape.
            gain: Factor of the prior's intensities; a bias field has the shape of the fine grid.
            offset: Added to them.
        """
        x = self.m * (gain * self.W(decoded) + offset) + (1.0 - self.m) * self.s
        show(lambda: self.scale.from_unit(x))
        return x

    def to_prior(
        self, x: Tensor, fallback: Tensor, gain: float | Tensor = 1.0, offset: float = 0.0
    ) -> Tensor:
        """Return an image as the prior would see it: V x without gain and offset.

        Args:
            x: Image on the fine grid.
            fallback: Image on the prior grid, used where the fine grid does not reach.
            gain: See `compose`.
            offset: See `compose`.
        """
        return self.V((x - offset) / gain) + (1.0 - self.coverage) * fallback

    def misfit(self, x: Tensor) -> float:
        """Return rms(A x - y) in standard deviations of the noise."""
        rms = (self.A(x) - self.y).square().mean(dtype=torch.float64).sqrt()
        return float(rms) / self.data_sigma


@dataclass(frozen=True, eq=False)
class Decoding:
    """From a latent to the image on the fine grid; see `make_decoding`.

    Attributes:
        problem: The problem.
        prior: The prior.
        reference: D(E(V start)) for delta decoding, None for G(z).
    """

    problem: Problem
    prior: InstrumentedPrior
    reference: Tensor | None

    def __call__(self, z: Tensor, gain: float | Tensor = 1.0, offset: float = 0.0) -> Tensor:
        """Return the image of a latent; differentiable."""
        return self.of_decoded(self.prior.decode(z), gain, offset)

    def of_decoded(
        self, decoded: Tensor, gain: float | Tensor = 1.0, offset: float = 0.0
    ) -> Tensor:
        """Return the image when D(z) is known."""
        if self.reference is None:
            return self.problem.compose(decoded, gain, offset)
        change = gain * self.problem.W(decoded - self.reference)
        x = self.problem.start + self.problem.m * change
        show(lambda: self.problem.scale.from_unit(x))
        return x


def make_decoding(problem: Problem, prior: InstrumentedPrior, *, delta: bool) -> Decoding:
    """Choose how latents become images.

    G(z), or only what the prior changed:  x = start + m W (D(z) - D(E(V start))), in which the
    autoencoder's own reconstruction error cancels.

    Args:
        problem: The problem.
        prior: The prior; one without an encoder cannot do the second.
        delta: Whether to do the second.
    """
    reference = prior.decode(start_latent(problem, prior)) if delta else None
    return Decoding(problem, prior, reference)


def start_latent(problem: Problem, prior: InstrumentedPrior) -> Tensor:
    """Return the latent of the first guess, E(V start)."""
    return prior.encode(problem.V(problem.start))


def finish(problem: Problem, x: Tensor) -> Tensor:
    """Return an image in the intensities of the scan, without a gradient."""
    return problem.scale.from_unit(x.detach())
