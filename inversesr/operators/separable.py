"""The forward model of one scan: one small matrix an axis.

    y = (A_0 x A_1 x A_2) x,      A A' = U diag(lambda) U'   with U and lambda separable too

Because the Gram matrix A A' is a Kronecker product, everything that involves its inverse is exact
and costs one small matrix product an axis: no iteration, no tolerance.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from inversesr.protocols import Shape

Array = NDArray[np.float64]

# Directions of the scan that A shrinks below this share of its largest gain carry only rounding
# error: they are treated as not measured.
RELATIVE_RANK_TOLERANCE = 1e-8
NEWTON_STEPS = 20
NEWTON_TOLERANCE = 1e-6


def apply_along(matrix: torch.Tensor, x: torch.Tensor, axis: int) -> torch.Tensor:
    """Multiply a matrix (n_out, n_in) onto one axis of a 3D tensor."""
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    if axis == x.ndim - 1:
        return (x.reshape(-1, n) @ matrix.T).reshape(*before, matrix.shape[0])
    folded = x.reshape(int(np.prod(before)), n, int(np.prod(after)))
    return torch.matmul(matrix, folded).reshape(*before, matrix.shape[0], *after)


@dataclass(frozen=True, eq=False)
class SeparableOperator:
    """A linear operator that acts on each axis by a matrix of its own.

    Attributes:
        in_shape: Shape of x, the fine grid.
        matrices: For each axis a float64 matrix (n_out, n_in), or None for the identity.
    """

    in_shape: Shape
    matrices: tuple[Array | None, Array | None, Array | None]

    @cached_property
    def out_shape(self) -> Shape:
        """Shape of y, the scan."""
        return tuple(
            n if m is None else m.shape[0]
            for n, m in zip(self.in_shape, self.matrices, strict=True)
        )

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Average the fine image x, shape in_shape, into the scan, shape out_shape."""
        return _multiply(self.matrices, x)

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Spread a scan y, shape out_shape, over the fine grid with the same weights."""
        return _multiply(_transposed(self.matrices), y)

    def prox(self, x0: torch.Tensor, y: torch.Tensor, r2: float, sigma2: float) -> torch.Tensor:
        """Return argmin |x - x0|^2 / r2 + |A x - y|^2 / sigma2, in closed form.

        Args:
            x0: Image to stay close to, shape in_shape.
            y: Scan to agree with, shape out_shape.
            r2: Variance of the image about x0, above 0.
            sigma2: Variance of the scan's noise, at least 0; 0 gives `project`.
        """
        if sigma2 == 0.0:
            return self.project(x0, y)
        gain = r2 / (r2 * self._gram_eigenvalues + sigma2)
        return self._corrected(x0, self._residual_coefficients(x0, y), gain)

    def project(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the image nearest to x that reproduces the scan: A result = y.

        Where several slices overlap so much that y cannot be reproduced, the result is the
        least-squares one. The correction is applied twice: the second pass removes the rounding
        error that an ill-conditioned A (overlapping slices) leaves in float32.
        """
        eigenvalues = self._gram_eigenvalues
        measured = eigenvalues > RELATIVE_RANK_TOLERANCE * eigenvalues.max()
        gain = torch.where(measured, 1.0 / eigenvalues.clamp_min(1e-300), 0.0)
        once = self._corrected(x, self._residual_coefficients(x, y), gain)
        return self._corrected(once, self._residual_coefficients(once, y), gain)

    def nearest_within(self, x: torch.Tensor, y: torch.Tensor, radius: float) -> torch.Tensor:
        """Return the image nearest to x whose misfit |A result - y| is at most radius.

        The multiplier alpha of the constraint solves |c / (1 + alpha lambda)| = radius, where c
        is the residual in the eigenvectors of A A'. The reciprocal norm is concave and nearly
        linear in alpha, so Newton's method rises to the root from alpha = 0 in a few steps.

        Reference: More, Sorensen (1983), Computing a trust region step, SIAM Journal on
        Scientific and Statistical Computing 4(3):553-572, doi:10.1137/0904038.
        """
        if radius == 0.0:
            return self.project(x, y)
        c = self._residual_coefficients(x, y)
        eigenvalues = self._gram_eigenvalues.to(c)
        if _norm(c) <= radius:
            return x
        alpha = 0.0
        for _ in range(NEWTON_STEPS):
            shrunk = c / (1.0 + alpha * eigenvalues)
            norm = _norm(shrunk)
            if norm <= radius * (1.0 + NEWTON_TOLERANCE):
                break
            slope = _inner(shrunk * shrunk, eigenvalues / (1.0 + alpha * eigenvalues))
            alpha += norm * norm * (norm - radius) / (radius * slope)
        return self._corrected(x, c, alpha / (1.0 + alpha * eigenvalues))

    def sample_posterior(
        self,
        x0: torch.Tensor,
        y: torch.Tensor,
        variances: tuple[float, float],
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Draw x ~ N(x0, r2 I) given y = A x + noise, exactly, by perturb and optimise.

        Args:
            x0: Prior mean, shape in_shape.
            y: Scan, shape out_shape.
            variances: (r2, sigma2): prior variance and noise variance, both above 0.
            generator: Source of randomness.

        Reference: Papandreou, Yuille (2010), Gaussian sampling by local perturbations, Advances
        in Neural Information Processing Systems 23.
        """
        r2, sigma2 = variances
        u = x0 + r2**0.5 * _normal_like(x0, generator)
        noisy = y + sigma2**0.5 * _normal_like(y, generator)
        return self.prox(u, noisy, r2, sigma2)

    @cached_property
    def condition_number(self) -> float:
        """Largest over smallest eigenvalue of A A'."""
        eigenvalues = self._gram_eigenvalues
        return float(eigenvalues.max() / eigenvalues.min().clamp_min(1e-300))

    @cached_property
    def _gram(self) -> tuple[tuple[Array, Array] | None, ...]:
        """Eigenvalues and eigenvectors of each axis' own A A'."""
        return tuple(None if m is None else _eigen(m @ m.T) for m in self.matrices)

    @cached_property
    def _eigenvectors(self) -> tuple[Array | None, ...]:
        return tuple(None if g is None else g[1] for g in self._gram)

    @cached_property
    def _gram_eigenvalues(self) -> torch.Tensor:
        """Eigenvalues of A A', float64, broadcastable to out_shape."""
        product = torch.ones(1, 1, 1, dtype=torch.float64)
        for axis, gram in enumerate(self._gram):
            if gram is not None:
                shape = [1, 1, 1]
                shape[axis] = -1
                product = product * torch.from_numpy(gram[0]).reshape(shape)
        return product

    def _residual_coefficients(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return U'(y - A x), shape out_shape."""
        return _multiply(_transposed(self._eigenvectors), y - self(x))

    def _corrected(self, x: torch.Tensor, c: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        """Return x + A' U (gain c)."""
        return x + self.adjoint(_multiply(self._eigenvectors, gain.to(c) * c))


def _multiply(matrices: tuple[Array | None, ...], x: torch.Tensor) -> torch.Tensor:
    """Apply one matrix an axis; the axis that shrinks most goes first, to save work."""
    axes = [axis for axis, matrix in enumerate(matrices) if matrix is not None]
    for axis in sorted(axes, key=lambda a: _growth(matrices[a])):
        x = apply_along(torch.from_numpy(matrices[axis]).to(x), x, axis)
    return x


def _growth(matrix: Array | None) -> float:
    return 1.0 if matrix is None else matrix.shape[0] / matrix.shape[1]


def _transposed(matrices: tuple[Array | None, ...]) -> tuple[Array | None, ...]:
    return tuple(None if m is None else np.ascontiguousarray(m.T) for m in matrices)


def _eigen(gram: Array) -> tuple[Array, Array]:
    values, vectors = np.linalg.eigh(gram)
    return np.clip(values, 0.0, None), vectors


def _inner(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a * b).sum(dtype=torch.float64))


def _norm(a: torch.Tensor) -> float:
    return float(_inner(a, a) ** 0.5)


def _normal_like(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    # a generator draws on its own device only
    drawn = torch.randn(x.shape, generator=generator, device=generator.device, dtype=x.dtype)
    return drawn.to(x.device)
