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

from inversesr.operators.compose import Algebra, Composed
from inversesr.operators.protocol import LinearOperator
from inversesr.operators.spectrum import Spectrum
from inversesr.protocols import Shape

Array = NDArray[np.float64]


def apply_along(matrix: torch.Tensor, x: torch.Tensor, axis: int) -> torch.Tensor:
    """Multiply a matrix (n_out, n_in) onto one axis of a 3D tensor."""
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    if axis == x.ndim - 1:
        return (x.reshape(-1, n) @ matrix.T).reshape(*before, matrix.shape[0])
    folded = x.reshape(int(np.prod(before)), n, int(np.prod(after)))
    return torch.matmul(matrix, folded).reshape(*before, matrix.shape[0], *after)


@dataclass(frozen=True, eq=False)
class SeparableOperator(Algebra):
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

    def __matmul__(self, inner: LinearOperator) -> LinearOperator:
        """Return the product with another operator; of two of this kind, one of this kind."""
        if not isinstance(inner, SeparableOperator):
            return Composed(self, inner)
        if inner.out_shape != self.in_shape:
            message = f"cannot feed {inner.out_shape} into {self.in_shape}"
            raise ValueError(message)
        pairs = zip(self.matrices, inner.matrices, strict=True)
        a, b, c = (_product(outer_one, inner_one) for outer_one, inner_one in pairs)
        return SeparableOperator(inner.in_shape, (a, b, c))

    @cached_property
    def spectrum(self) -> Spectrum:
        """Eigenvalues of A A', those of the axes multiplied, and the eigenvectors of each axis."""
        back = _transposed(self._eigenvectors)

        def analyse(y: torch.Tensor) -> torch.Tensor:
            return _multiply(back, y)

        def synthesise(c: torch.Tensor) -> torch.Tensor:
            return _multiply(self._eigenvectors, c)

        return Spectrum(self._gram_eigenvalues, analyse, synthesise)

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


def _product(outer: Array | None, inner: Array | None) -> Array | None:
    if outer is None or inner is None:
        return inner if outer is None else outer
    return np.asarray(outer @ inner)
