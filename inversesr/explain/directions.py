"""Directions of the bottleneck along which the image can change while the scan stays the same.

    J = d P D(h) / d h,      J' J = V diag(lambda) V'      the first columns of V

P removes what the slices show and what lies outside the brain. Nothing is told of anatomy: the
directions are those along which a shift of the bottleneck changes the image most, found by
subspace iteration. A check that knows nothing of J: the principal components of the bottlenecks
of posterior samples, and the angles between the two subspaces.

Reference: Haas, Huberman-Spiegelglas, Mulayoff, Grassucci, Aittala, Michaeli (2024), Discovering
interpretable directions in the semantic latent space of diffusion models, arXiv:2303.11073; Kwon,
Jeong, Uh (2023), arXiv:2210.10960.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from inversesr.explain.bottleneck import LEVEL, Bottleneck, Opened

# Largest entry of the shift by which J is found, in units of how much a channel varies.
STEP = 0.1
# Denoiser calls of a sample, and rounds of the subspace iteration.
N_STEPS, N_ROUNDS = 8, 5


@dataclass(frozen=True, eq=False)
class Direction:
    """One direction of the bottleneck.

    Attributes:
        shift: Of length 1, shape (C, X / 8, Y / 8, Z / 8).
        change: What a shift by one changes, to first order, as far as no slice shows it.
        sd: Standard deviation of the shift over the posterior samples.
        explained: Share of the samples' variance that lies along `change`, 0 to 1.
    """

    shift: torch.Tensor
    change: torch.Tensor
    sd: float
    explained: float


@dataclass(frozen=True, eq=False)
class Draws:
    """Posterior samples of a block.

    Attributes:
        residuals: What no slice shows of each, shape (N, X, Y, Z).
        bottlenecks: Features of each in units of the scale of `base`, shape (N, C, ...).
        base: The bottleneck about which directions are found.
    """

    residuals: torch.Tensor
    bottlenecks: torch.Tensor
    base: Bottleneck


def draw(
    opened: Opened,
    n_samples: int,
    generator: torch.Generator,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Draws:
    """Draw samples of a block and look at the bottleneck of each.

    Args:
        opened: Network and block.
        n_samples: How many, at least 2.
        generator: Source of randomness.
        progress: Called with the samples drawn and their number.
    """
    residuals, found = [], []
    for number in range(1, n_samples + 1):
        residuals.append(opened.sample(N_STEPS, generator))
        progress(number, n_samples)
    mean = torch.stack(residuals).mean(dim=0)
    # one noise for all: they differ by what they show, and by nothing else
    noise = opened.block.unseen(torch.randn(mean.shape, generator=generator).to(mean))
    base = opened.at(mean + LEVEL * noise)
    for r in residuals:
        here = opened.at(r + LEVEL * noise)
        found.append(here.h[0] / base.units)
    return Draws(torch.stack(residuals), torch.stack(found), base)


def principal_directions(
    base: Bottleneck,
    weight: torch.Tensor,
    n: int,
    generator: torch.Generator,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> torch.Tensor:
    """Return the n directions along which the image changes most, by subspace iteration.

    J v is a finite difference, J' u a derivative by automatic differentiation.

    Args:
        base: The bottleneck.
        weight: What counts, 0 to 1, the shape of the block.
        n: How many.
        generator: Source of the directions to begin with.
        progress: Called with the rounds done and their number.

    Returns:
        Orthonormal directions, shape (n, C, X / 8, Y / 8, Z / 8), that of most change first.
    """
    shape = base.features.shape
    leaf = torch.zeros(shape).to(base.h).requires_grad_()
    image = weight * base.reconstruct(leaf)
    before = image.detach()
    V = orthonormal(torch.randn((n, leaf.numel()), generator=generator).to(leaf))
    for number in range(1, N_ROUNDS + 1):
        V = orthonormal(
            torch.stack(
                [
                    torch.autograd.grad(image, leaf, u, retain_graph=True)[0].flatten()
                    for u in _changes(base, V.reshape(n, *shape), weight, before)
                ]
            )
        )
        progress(number, N_ROUNDS)
    U = torch.stack(list(_changes(base, V.reshape(n, *shape), weight, before))).flatten(1)
    return ordered(V, U.double()).reshape(n, *shape)


def _changes(
    base: Bottleneck, shifts: torch.Tensor, weight: torch.Tensor, before: torch.Tensor
) -> Iterator[torch.Tensor]:
    """Yield J v for each of several shifts."""
    for v in shifts:
        step = STEP / float(v.abs().max())
        yield (weight * base.reconstruct(step * v) - before) / step


def orthonormal(rows: torch.Tensor) -> torch.Tensor:
    """Return orthonormal rows that span what the rows span."""
    found: torch.Tensor = torch.linalg.qr(rows.double().T)[0].T.to(rows)
    return found


def ordered(V: torch.Tensor, U: torch.Tensor) -> torch.Tensor:
    """Turn directions within their span so that their changes are orthogonal, the largest first.

    Args:
        V: Orthonormal directions, one a row.
        U: What each changes, one a row.
    """
    _, turn = torch.linalg.eigh(U @ U.T)
    found = turn.flip(1).T @ V.double()
    # a direction and its opposite are one: the largest entry is positive
    signs = found.gather(1, found.abs().argmax(dim=1, keepdim=True)).sign()
    oriented: torch.Tensor = (found * signs).to(V)
    return oriented


def principal_activations(bottlenecks: torch.Tensor, n: int) -> torch.Tensor:
    """Return the n directions in which bottlenecks of samples differ most, one a row.

    Args:
        bottlenecks: Features of each sample, shape (N, C, ...).
        n: How many, at most N - 1.
    """
    rows = bottlenecks.flatten(1).double()
    centred = rows - rows.mean(dim=0)
    _, _, rows = torch.linalg.svd(centred, full_matrices=False)
    found: torch.Tensor = rows[: min(n, len(bottlenecks) - 1)].float()
    return found


def subspace_degrees(a: torch.Tensor, b: torch.Tensor) -> list[float]:
    """Return the principal angles between two subspaces, the smallest first, in degrees.

    Args:
        a: Orthonormal rows.
        b: Orthonormal rows of the same length.
    """
    cosines = torch.linalg.svdvals(a.double() @ b.double().T).clamp(max=1.0)
    return [math.degrees(math.acos(float(c))) for c in cosines]


def chance_degrees(n: int, length: int) -> float:
    """Return about the smallest angle between two subspaces that have nothing in common.

    The largest singular value of an n x n part of a random rotation is about 2 sqrt(n / length).

    Args:
        n: Dimension of both.
        length: Dimension of the space, much larger.
    """
    return math.degrees(math.acos(min(1.0, 2.0 * math.sqrt(n / length))))


def measure(draws: Draws, shifts: torch.Tensor, weight: torch.Tensor) -> list[Direction]:
    """Return the directions with how far the samples lie apart along each.

    Args:
        draws: Samples.
        shifts: Directions of length 1, shape (n, C, ...).
        weight: What counts, 0 to 1, the shape of the block.
    """
    centred = weight * (draws.residuals - draws.residuals.mean(dim=0))
    total = float(centred.square().sum(dtype=torch.float64)) / (len(centred) - 1)
    before = draws.base.reconstruct()
    found = []
    for shift in shifts:
        step = STEP / float(shift.abs().max())
        change = (draws.base.reconstruct(step * shift) - before) / step
        sd, length2 = spread_along(centred, weight * change)
        explained = sd**2 * length2 / total if total > 0.0 else 0.0
        found.append(Direction(shift, change, sd, explained))
    return found


def spread_along(centred: torch.Tensor, change: torch.Tensor) -> tuple[float, float]:
    """Return the standard deviation of samples along a change, and |change|^2."""
    length2 = float(change.square().sum(dtype=torch.float64))
    if length2 == 0.0:
        return 0.0, 0.0
    along = coefficients(centred, change)
    return float((along.square().sum() / (len(along) - 1)) ** 0.5), length2


def coefficients(centred: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """Return how much of a change is in each of several images, shape (N,)."""
    flat = change.flatten().double()
    return torch.stack([(c.flatten().double() @ flat) / (flat @ flat) for c in centred])


def shifted(base: Bottleneck, direction: Direction, factors: Sequence[float]) -> torch.Tensor:
    """Return what changes where the bottleneck is shifted by factors of the deviation.

    Args:
        base: The bottleneck.
        direction: The direction.
        factors: In standard deviations of the samples.

    Returns:
        Changes, as far as no slice shows them, shape (len(factors), X, Y, Z).
    """
    before = base.reconstruct()
    return torch.stack(
        [base.reconstruct(f * direction.sd * direction.shift) - before for f in factors]
    )
