"""One small Gaussian problem for every kind of measurement: a new kind joins by one line."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from inversesr.measurements.linear import LinearMeasurement, linear_measurement
from inversesr.operators.blur import gaussian_blur
from inversesr.operators.coils import Coils
from inversesr.operators.complex_numbers import RealImage
from inversesr.operators.compose import Stacked
from inversesr.operators.fourier import Fourier, SampledFourier
from inversesr.operators.inner_product import white_noise
from inversesr.operators.resample import RigidResample
from inversesr.operators.sampling import Sampling
from inversesr.operators.separable import SeparableOperator
from inversesr.priors.gaussian import make_gaussian_prior
from inversesr.priors.instrumented import InstrumentedPrior
from inversesr.solvers.latent.problem import Problem
from inversesr.volume import Grid
from tests.support.laws import normal
from tests.support.operators import averaging, marks, sensitivities
from tests.support.problems import generator, identity

SHAPE, SIGMA = (6, 5, 8), 0.05


def moved_slices():
    """Thick slices of a head that was turned and shifted."""
    pose = np.eye(4)
    pose[:2, :2] = [[0.98, -0.199], [0.199, 0.98]]
    pose[:3, 3] = [0.3, -0.4, 0.2]
    resample = RigidResample(Grid(SHAPE, np.eye(4)), Grid(SHAPE, np.eye(4)), pose)
    return SLICES @ resample


def across(axis, n_slices, spacing, thickness, profile="rect"):
    """Slices along an axis."""
    matrices = [None, None, None]
    matrices[axis] = averaging(n_slices, spacing, thickness, profile)
    return SeparableOperator(SHAPE, tuple(matrices))


SLICES = across(2, 4, 2.0, 2.0)
MASK = marks(SHAPE, 0.6, 3)

KINDS = {
    "slices": SLICES,
    "slices with gaps": across(2, 2, 4.0, 2.0),
    "overlapping slices": across(2, 4, 2.0, 3.0, "gaussian"),
    "blurred within the slice": SLICES @ gaussian_blur(SHAPE, (1.0, 1.0, 1.0), (1.5, 1.5, 0.0)),
    "voxels": Sampling(MASK),
    "slices with spoilt voxels": Sampling(marks(SLICES.out_shape, 0.7, 1)) @ SLICES,
    "two stacks": Stacked((SLICES, across(0, 3, 2.0, 2.0))),
    "slices of a moved head": moved_slices(),
    "k-space": SampledFourier(marks(SHAPE, 0.5, 2)),
    "multi-coil k-space": Sampling(marks(SHAPE, 0.3, 4), (3,))
    @ Fourier((3, *SHAPE))
    @ Coils(sensitivities(3, SHAPE))
    @ RealImage(SHAPE),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class GaussianCase:
    """A measurement of a sample of a Gaussian prior.

    Attributes:
        prior: The prior, as solvers use it.
        measurement: What was measured.
        z: The true latent.
    """

    prior: Any
    measurement: LinearMeasurement
    z: torch.Tensor

    @property
    def x(self):
        """The true image."""
        return self.prior.inner.decode(self.z).float()

    @property
    def problem(self):
        """What a solver on latents has to solve; its first guess is no better than nothing."""
        one, m = identity(SHAPE), self.measurement
        return Problem(
            m.A, m.y, m.sigma, None, one, one, torch.ones(SHAPE), m.slice_axis, warm=m.x0
        )

    def posterior(self, noise_of_image=0.0):
        """Return mean and covariance of the latent given the data, by dense algebra.

        Args:
            noise_of_image: Variance by which an image may lie beside that of its latent.
        """
        A, n, dtype = self.measurement.A, self.z.numel(), torch.float64
        zero = self.prior.inner.decode(torch.zeros(self.prior.latent_shape, dtype=dtype))
        waves = torch.eye(n, dtype=dtype).reshape(n, *self.prior.latent_shape)
        columns = [A(self.prior.inner.decode(w).double() - zero).flatten() for w in waves]
        forward = torch.stack(columns, dim=1)
        residual = (self.measurement.y.double() - A(zero)).flatten()
        pixels = torch.eye(zero.numel(), dtype=dtype).reshape(-1, *SHAPE)
        M = torch.stack([A(p).flatten() for p in pixels], dim=1)
        noise = self.measurement.sigma**2 * torch.eye(len(residual), dtype=dtype)
        noise = noise + noise_of_image * M @ M.T
        precision = torch.diag(1.0 / self.prior.inner.variance.flatten().double())
        precision = precision + forward.T @ torch.linalg.solve(noise, forward)
        covariance = torch.linalg.inv(precision)
        return covariance @ forward.T @ torch.linalg.solve(noise, residual), covariance

    def least_loss(self):
        """Return the smallest mean square of A D(z) - y over all latents."""
        A, n = self.measurement.A, self.z.numel()
        zero = self.prior.inner.decode(torch.zeros(self.prior.latent_shape)).double()
        waves = torch.eye(n).reshape(n, *self.prior.latent_shape)
        columns = [A(self.prior.inner.decode(w).double() - zero).flatten() for w in waves]
        forward = torch.stack(columns, dim=1)
        right = (self.measurement.y.double() - A(zero)).flatten()[:, None]
        # columns of a prior that computes in float32 are exact to 1e-7
        best = torch.linalg.pinv(forward, rtol=1e-5) @ right
        return float((forward @ best - right).square().mean())


def gaussian_measurement(kind, sigma=SIGMA, seed=0):
    """Measure a sample of a Gaussian prior; see `KINDS`."""
    prior = make_gaussian_prior(SHAPE, (3, 2, 4))
    z = prior.sample(generator(seed))
    A, x = KINDS[kind], prior.decode(z).float()
    exact = A(x)
    y = exact + sigma * white_noise(exact, generator(seed + 100))
    fine, nothing = Grid(SHAPE, np.eye(4)), prior.decode(torch.zeros_like(z)).float()
    measured = linear_measurement(y, A, sigma, nothing, fine)
    return GaussianCase(InstrumentedPrior(prior, prior.schedule), measured, z)


def scaled(case, low, width):
    """Return the case's measurement in other intensities: x -> low + width x."""
    m = case.measurement
    offset = m.A(torch.full_like(m.x0, low))
    return replace(m, y=width * m.y + offset, x0=low + width * m.x0, sigma=width * m.sigma)


def random_image(seed):
    """Return an image that has nothing to do with the prior."""
    return normal(SHAPE, seed, torch.float32)
