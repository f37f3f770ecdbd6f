"""Total variation by its dual variables, computed in slabs that stay in the cache.

    TV(x) = max_{|p| <= radius in each voxel} <p, K x>,      slope = K' p

K is the gradient G or the Hessian H, or what D = 1 - m m' leaves of them, D G or D H D, in fine
voxels. An image continues beyond its ends as its outermost voxel: with one voxel of it around a
slab, every difference is a plain subtraction, and K' is what it spreads, folded back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from inversesr import parallel

# Small enough to stay in the cache: the fastest of four sizes.
SLAB_VOXELS = 131072
ROOT_2 = 2.0**0.5
Weights = tuple[float, ...]
Offset = tuple[int, int, int]

HERE: Offset = (0, 0, 0)
AHEAD: tuple[Offset, ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
BEHIND: tuple[Offset, ...] = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))
PAIRS = tuple((a, b) for a in range(3) for b in range(a, 3))


class Term(Protocol):
    """One sum of a functional.

    Attributes:
        n_components: Components of K x in each voxel.
        radius: Largest norm of the dual variable in a voxel.
        norm2: Bound of |K|^2.
    """

    @property
    def n_components(self) -> int:
        """Components of K x in each voxel."""

    @property
    def radius(self) -> float:
        """Largest norm of the dual variable in a voxel."""

    @property
    def norm2(self) -> float:
        """Bound of |K|^2."""

    def ascend(self, p: torch.Tensor, padded: torch.Tensor, rows: slice, step: float) -> None:
        """Add step K x to p, in place.

        Args:
            p: Dual variables of the rows, shape (n_components, n_rows, Y, Z).
            padded: x in the rows and one voxel around, shape (n_rows + 2, Y + 2, Z + 2).
            rows: Where the slab lies along the first axis.
            step: Factor.
        """

    def spread(self, p: torch.Tensor, padded: torch.Tensor, rows: slice) -> None:
        """Add K' p to a padded slab, in place; the arguments are those of `ascend`."""


@dataclass(frozen=True, eq=False)
class FirstOrder:
    """The gradient, or what is left of it along edges: K x = (1 - m m') w G x.

    Attributes:
        weights: w, factors of the differences along each axis.
        radius: Factor of the term.
        normals: m, at most of length 1, one component for each axis, or None for 0.
    """

    weights: Weights
    radius: float
    normals: tuple[torch.Tensor, ...] | None = None
    n_components: int = 3

    @property
    def norm2(self) -> float:
        """Bound of |K|^2; the normals only take away."""
        return 4.0 * sum(w**2 for w in self.weights)

    def ascend(self, p: torch.Tensor, padded: torch.Tensor, rows: slice, step: float) -> None:
        """Add step K x to p, in place."""
        here = _at(padded, HERE)
        if self.normals is None:
            for axis, weight in enumerate(self.weights):
                p[axis].add_(_at(padded, AHEAD[axis]), alpha=step * weight)
                p[axis].sub_(here, alpha=step * weight)
            return
        m = [component[rows] for component in self.normals]
        gradient = [
            (_at(padded, AHEAD[axis]) - here).mul_(step * self.weights[axis]) for axis in range(3)
        ]
        along = _inner(gradient, m)
        for axis in range(3):
            p[axis].add_(gradient[axis]).addcmul_(along, m[axis], value=-1.0)

    def spread(self, p: torch.Tensor, padded: torch.Tensor, rows: slice) -> None:
        """Add K' p to a padded slab, in place."""
        here = _at(padded, HERE)
        flows = list(p)
        if self.normals is not None:
            m = [component[rows] for component in self.normals]
            along = _inner(flows, m)
            flows = [
                torch.addcmul(flow, along, n, value=-1.0) for flow, n in zip(flows, m, strict=True)
            ]
        for axis, (flow, weight) in enumerate(zip(flows, self.weights, strict=True)):
            _at(padded, AHEAD[axis]).add_(flow, alpha=weight)
            here.sub_(flow, alpha=weight)


@dataclass(frozen=True, eq=False)
class SecondOrder:
    """The Hessian, or what is left of it along edges: K x = (1 - m m') (w w' H x) (1 - m m').

    The mixed derivatives count twice: their components are those of the matrix times root 2.

    Attributes:
        weights: w, factors of each axis.
        radius: Factor of the term.
        normals: One component for each axis, at most of length 1, or None for m = 0.
        sureness: m as a share of the normals.
    """

    weights: Weights
    radius: float = 1.0
    normals: tuple[torch.Tensor, ...] | None = None
    sureness: float = 1.0
    n_components: int = 6

    @property
    def norm2(self) -> float:
        """Bound of |K|^2; the normals only take away."""
        return 16.0 * sum(w**2 for w in self.weights) ** 2

    def ascend(self, p: torch.Tensor, padded: torch.Tensor, rows: slice, step: float) -> None:
        """Add step K x to p, in place."""
        if self.normals is None:
            self._add_hessian(p, padded, step)
            return
        hessian = torch.zeros_like(p)
        self._add_hessian(hessian, padded, step)
        p += _along(hessian, self._normals_in(rows))

    def spread(self, p: torch.Tensor, padded: torch.Tensor, rows: slice) -> None:
        """Add K' p to a padded slab, in place."""
        if self.normals is not None:
            p = _along(p.clone(), self._normals_in(rows))
        for index, stencil in enumerate(self._stencils()):
            for offset, factor in stencil:
                _at(padded, offset).add_(p[index], alpha=factor)

    def _normals_in(self, rows: slice) -> list[torch.Tensor]:
        return [component[rows] * self.sureness for component in self.normals or ()]

    def _add_hessian(self, p: torch.Tensor, padded: torch.Tensor, step: float) -> None:
        for index, stencil in enumerate(self._stencils()):
            for offset, factor in stencil:
                p[index].add_(_at(padded, offset), alpha=step * factor)

    def _stencils(self) -> list[list[tuple[Offset, float]]]:
        stencils = []
        for a, b in PAIRS:
            weight = self.weights[a] * self.weights[b]
            if a == b:
                points = [(AHEAD[a], weight), (BEHIND[a], weight), (HERE, -2.0 * weight)]
            else:
                weight *= ROOT_2
                both = (AHEAD[a][0] + AHEAD[b][0], AHEAD[a][1] + AHEAD[b][1],
                        AHEAD[a][2] + AHEAD[b][2])  # fmt: skip
                points = [(both, weight), (AHEAD[a], -weight), (AHEAD[b], -weight),
                          (HERE, weight)]  # fmt: skip
            stencils.append(points)
        return stencils


def zero_duals(terms: Sequence[Term], x: torch.Tensor) -> list[torch.Tensor]:
    """Return dual variables of zero, one tensor (n_components, *x.shape) a term."""
    return [x.new_zeros((term.n_components, *x.shape)) for term in terms]


def ascend(
    terms: Sequence[Term], duals: Sequence[torch.Tensor], x: torch.Tensor, step: float
) -> torch.Tensor:
    """Take one projected step of ascent in the dual variables, in place.

    Args:
        terms: Sums of the functional.
        duals: Their dual variables, see `zero_duals`.
        x: Image.
        step: Length of the step.

    Returns:
        Slope K' p at the new dual variables, shape x.shape.
    """
    n, *across = x.shape
    n_rows = min(n, max(1, SLAB_VOXELS // (across[0] * across[1])))
    slope = torch.zeros_like(x)
    slabs = [slice(start, min(start + n_rows, n)) for start in range(0, n, n_rows)]

    def add(rows: slice) -> None:
        padded = x.new_empty((rows.stop - rows.start + 2, across[0] + 2, across[1] + 2))
        fill(padded, x, rows)
        spread = torch.zeros_like(padded)
        for term, dual in zip(terms, duals, strict=True):
            p = dual[:, rows]
            term.ascend(p, padded, rows, step)
            shrink_to_ball(p, term.radius)
            term.spread(p, spread, rows)
        fold(spread, slope, rows)

    # a slab adds to a row of either neighbour: every third one at a time, in any order
    for first in range(3):
        parallel.each(add, slabs[first::3])
    return slope


def fill(padded: torch.Tensor, x: torch.Tensor, rows: slice) -> None:
    """Copy rows of x and one voxel around them, which beyond its ends is the outermost one."""
    first, last = max(rows.start - 1, 0), min(rows.stop + 1, x.shape[0])
    shift = 1 - rows.start
    padded[first + shift : last + shift, 1:-1, 1:-1] = x[first:last]
    if rows.start == 0:
        padded[0] = padded[1]
    if rows.stop == x.shape[0]:
        padded[-1] = padded[-2]
    padded[:, 0], padded[:, -1] = padded[:, 1], padded[:, -2]
    padded[:, :, 0], padded[:, :, -1] = padded[:, :, 1], padded[:, :, -2]


def fold(padded: torch.Tensor, total: torch.Tensor, rows: slice) -> None:
    """Add a padded slab to its place in a total: the transpose of `fill`. Overwrites the slab."""
    padded[:, :, 1] += padded[:, :, 0]
    padded[:, :, -2] += padded[:, :, -1]
    padded[:, 1] += padded[:, 0]
    padded[:, -2] += padded[:, -1]
    if rows.start == 0:
        padded[1] += padded[0]
    if rows.stop == total.shape[0]:
        padded[-2] += padded[-1]
    first, last = max(rows.start - 1, 0), min(rows.stop + 1, total.shape[0])
    shift = 1 - rows.start
    total[first:last] += padded[first + shift : last + shift, 1:-1, 1:-1]


def shrink_to_ball(p: torch.Tensor, radius: float) -> None:
    """Project each voxel's vector onto the ball of a radius, in place."""
    norm = p[0].square()
    for component in p[1:]:
        norm.addcmul_(component, component)
    p.mul_(norm.sqrt_().div_(radius).clamp_(min=1.0).reciprocal_())


def _at(padded: torch.Tensor, offset: Offset) -> torch.Tensor:
    """Return the slab's voxels moved by an offset, as a view."""
    a, b, c = (slice(1 + o, n - 1 + o) for o, n in zip(offset, padded.shape, strict=True))
    return padded[a, b, c]


def _along(h: torch.Tensor, m: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return D H D of symmetric matrices, D = 1 - m m', in place.

        D H D = H - v m' - m v',      v = H m - m (m' H m) / 2

    Args:
        h: Matrices as six components, the mixed ones times root 2, shape (6, X, Y, Z).
        m: Three components of m.
    """
    v = [torch.zeros_like(h[0]) for _ in range(3)]
    for (a, b), component in zip(PAIRS, h, strict=True):
        factor = 1.0 if a == b else 1.0 / ROOT_2
        v[a].addcmul_(component, m[b], value=factor)
        if a != b:
            v[b].addcmul_(component, m[a], value=factor)
    half = _inner(v, m).mul_(0.5)
    for a in range(3):
        v[a].addcmul_(half, m[a], value=-1.0)
    for index, (a, b) in enumerate(PAIRS):
        factor = 1.0 if a == b else ROOT_2
        h[index].addcmul_(v[a], m[b], value=-factor).addcmul_(v[b], m[a], value=-factor)
    return h


def _inner(a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]) -> torch.Tensor:
    return (a[0] * b[0]).addcmul_(a[1], b[1]).addcmul_(a[2], b[2])
