"""A Gaussian prior in which everything is known in closed form, to test solvers against.

    x = m + B z,    z ~ N(0, diag(S)),    y = A x + sigma n

B is an orthonormal basis of smooth waves (the lowest cosines along each axis), so that encoding
is B'(x - m) and decoding is exact on its range.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inversesr.operators.inner_product import parts
from inversesr.operators.protocol import LinearOperator
from inversesr.priors.card import ScheduleCard
from inversesr.priors.schedule import Schedule, make_schedule
from inversesr.volume import Grid

# The schedule of the brain LDM, so that solver settings carry over.
BRAIN_LDM_SCHEDULE = ScheduleCard(
    "scaled_linear", 1000, "epsilon", arguments={"beta_start": 0.0015, "beta_end": 0.0205}
)


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A normal distribution.

    Attributes:
        mean: Shape (n,), float64.
        covariance: Shape (n, n), float64.
    """

    mean: Tensor
    covariance: Tensor


@dataclass(frozen=True, eq=False)
class GaussianPrior:
    """A prior whose denoiser and posterior are exact; see `make_gaussian_prior`.

    Attributes:
        grid: Where images lie.
        mean: m, shape grid.shape.
        bases: Orthonormal columns along each axis, shapes (n_voxels, n_waves), float64.
        variance: S, shape latent_shape, float64.
        schedule: Noise levels of the diffusion in z.
    """

    grid: Grid
    mean: Tensor
    bases: tuple[Tensor, Tensor, Tensor]
    variance: Tensor
    schedule: Schedule

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of a latent, (1, waves along X, Y, Z)."""
        return tuple(self.variance.shape)

    def encode(self, x: Tensor) -> Tensor:
        """Return B'(x - m), shape latent_shape."""
        a, b, c = (basis.to(x) for basis in self.bases)
        return torch.einsum("xyz,xi,yj,zk->ijk", x - self.mean.to(x), a, b, c)[None]

    def decode(self, z: Tensor) -> Tensor:
        """Return m + B z, shape grid.shape; differentiable."""
        a, b, c = (basis.to(z) for basis in self.bases)
        return self.mean.to(z) + torch.einsum("ijk,xi,yj,zk->xyz", z[0], a, b, c)

    def denoise(self, z_t: Tensor, t: int, context: Tensor | None = None) -> Tensor:  # noqa: ARG002  (the protocol's)
        """Return E[z | z_t] = a S / (a^2 S + b^2) z_t with signal a and noise b."""
        a, b = self.schedule.level(t)
        variance = self.variance.to(z_t)
        return a * variance / (a * a * variance + b * b) * z_t

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw a latent."""
        noise = torch.randn(self.latent_shape, generator=generator, dtype=torch.float64)
        return (noise * self.variance.sqrt()).float()

    def posterior(self, A: LinearOperator, y: Tensor, sigma: float) -> Gaussian:
        """Return the exact distribution of z given a scan.

        Args:
            A: Linear operator on images of shape grid.shape.
            y: Scan, shape A.out_shape.
            sigma: Standard deviation of its noise, above 0.

        Returns:
            Distribution of the flattened z.
        """
        n = self.variance.numel()
        waves = torch.eye(n, dtype=torch.float64).reshape(n, *self.latent_shape)
        zero = self.decode(torch.zeros(self.latent_shape, dtype=torch.float64))
        columns = [parts(A(self.decode(w) - zero)).flatten().double() for w in waves]
        forward = torch.stack(columns, dim=1)
        residual = (parts(y).double() - parts(A(zero)).double()).flatten()
        precision = forward.T @ forward / sigma**2 + torch.diag(1.0 / self.variance.flatten())
        covariance = torch.linalg.inv(precision)
        return Gaussian(covariance @ forward.T @ residual / sigma**2, covariance)

    def image_moments(self, latent: Gaussian) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of every voxel when z has a given distribution."""
        mean = self.decode(latent.mean.reshape(self.latent_shape))
        a, b, c = self.bases
        basis = torch.einsum("xi,yj,zk->xyzijk", a, b, c).reshape(mean.numel(), -1)
        spread = torch.einsum("vi,ij,vj->v", basis, latent.covariance, basis).clamp(min=0.0)
        return mean, spread.sqrt().reshape(mean.shape)


def make_gaussian_prior(
    shape: tuple[int, int, int],
    n_waves: tuple[int, int, int],
    decay: float = 1.0,
    schedule: ScheduleCard = BRAIN_LDM_SCHEDULE,
) -> GaussianPrior:
    """Make a prior of smooth images around 0.5.

    Args:
        shape: Voxels along each axis, 1 mm apart.
        n_waves: Cosines along each axis, at most the number of voxels.
        decay: Power with which the standard deviation of a wave falls with its frequency.
        schedule: Noise levels, of a diffusion or of a flow.

    Returns:
        The prior; a voxel's standard deviation is about 0.1.
    """
    bases = [_cosines(n, k) for n, k in zip(shape, n_waves, strict=True)]
    i, j, k = torch.meshgrid(
        *[torch.arange(n, dtype=torch.float64) for n in n_waves], indexing="ij"
    )
    falling = (1.0 + i**2 + j**2 + k**2) ** -decay
    variance = falling / falling.sum() * 0.1**2 * float(np.prod(shape))
    mean = torch.full(shape, 0.5)
    grid = Grid(shape, np.eye(4))
    basis = (bases[0], bases[1], bases[2])
    return GaussianPrior(grid, mean, basis, variance[None], make_schedule(schedule))


def _cosines(n: int, n_waves: int) -> Tensor:
    """Return the lowest cosines of n voxels (DCT-II), orthonormal, shape (n, n_waves)."""
    voxel = torch.arange(n, dtype=torch.float64)[:, None] + 0.5
    wave = torch.arange(n_waves, dtype=torch.float64)[None]
    columns: Tensor = torch.cos(torch.pi * voxel * wave / n)
    orthonormal: Tensor = columns / columns.norm(dim=0)
    return orthonormal
