"""Which samples of k-space a scan takes: lines, or points of the two phase-encoded axes.

    R = samples of the whole plane / samples taken, the calibration region among them

`uniform`, `random` and `variable` take whole lines; `poisson` takes points that keep a distance
from one another that grows away from the middle.

Reference: Lustig, Donoho, Pauly (2007), Sparse MRI, Magnetic Resonance in Medicine
58(6):1182-1195, doi:10.1002/mrm.21391, for variable density; Bridson (2007), Fast Poisson disk
sampling in arbitrary dimensions, doi:10.1145/1278780.1278807.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inversesr.errors import InputError

Mask = NDArray[np.bool_]
# How fast density falls from the middle to the edge.
DENSITY_POWER = 3.0
POISSON_SLOPE = 2.0
N_BISECTIONS = 14


def make_mask(
    kind: str, shape: tuple[int, int], acceleration: float, n_calibration: int, seed: int
) -> Mask:
    """Draw a mask.

    Args:
        kind: A name of `KINDS`.
        shape: Samples along the two axes; lines run along the first one.
        acceleration: R, at least 1.
        n_calibration: Side of the region about the middle that is taken wholly.
        seed: Seed of what is drawn.

    Returns:
        Marks, shape of the two axes.

    Raises:
        InputError: there is no such kind, or the calibration region alone exceeds the samples.
    """
    if kind not in KINDS:
        message = f"mask is {kind!r}; expected one of {', '.join(KINDS)}"
        raise InputError(message)
    if acceleration <= 1.0:
        return np.ones(shape, dtype=bool)
    is_of_points = kind == "poisson"
    total = shape[0] * shape[1] if is_of_points else shape[1]
    wanted = round(total / acceleration)
    centre = middle(shape, n_calibration) if is_of_points else middle((1, shape[1]), n_calibration)
    if wanted <= int(centre.sum()):
        message = (
            f"a calibration region of {n_calibration} leaves nothing to sample at acceleration "
            f"{acceleration:g}; expected {wanted} samples of {total} in all: give a smaller "
            "--calibration or acceleration"
        )
        raise InputError(message)
    found = KINDS[kind](centre, wanted, np.random.default_rng(seed))
    return np.broadcast_to(found, shape).copy()


def middle(shape: tuple[int, int], side: int) -> Mask:
    """Mark a box about the middle."""
    mask = np.zeros(shape, dtype=bool)
    box = tuple(
        slice(max(n // 2 - side // 2, 0), min(n // 2 - side // 2 + side, n)) for n in shape
    )
    mask[tuple(slice(None) if n == 1 else cut for n, cut in zip(shape, box, strict=True))] = True
    return mask


def uniform(centre: Mask, wanted: int, _rng: np.random.Generator) -> Mask:
    """Take every n-th line, n real, so that with the middle there are as many as wanted."""
    n = centre.shape[1]
    low, high = 1.0, float(n)
    best = centre
    for _ in range(N_BISECTIONS):
        step = (low + high) / 2.0
        mask = centre.copy()
        mask[0, (n // 2 + np.round(step * np.arange(-n, n))).astype(int).clip(0, n - 1)] = True
        # clipping marks the edges, which belong to no step
        mask[0, [0, -1]] = centre[0, [0, -1]]
        low, high = (step, high) if mask.sum() > wanted else (low, step)
        best = min(best, mask, key=lambda m: abs(int(m.sum()) - wanted))
    return best


def random(centre: Mask, wanted: int, rng: np.random.Generator) -> Mask:
    """Take lines at random, all alike."""
    return chosen(centre, wanted, np.ones(centre.shape), rng)


def variable(centre: Mask, wanted: int, rng: np.random.Generator) -> Mask:
    """Take lines at random, more of them near the middle."""
    return chosen(centre, wanted, (1.0 - radius(centre.shape)).clip(0.02) ** DENSITY_POWER, rng)


def chosen(
    centre: Mask, wanted: int, weight: NDArray[np.float64], rng: np.random.Generator
) -> Mask:
    """Add places at random to the middle, each by its weight."""
    weight = np.where(centre, 0.0, weight).ravel()
    places = rng.choice(
        weight.size, wanted - int(centre.sum()), replace=False, p=weight / weight.sum()
    )
    mask = centre.copy()
    mask.ravel()[places] = True
    return mask


def poisson(centre: Mask, wanted: int, rng: np.random.Generator) -> Mask:
    """Take points no two of which are nearer than a distance that grows away from the middle."""
    order = rng.permutation(centre.size)
    slope = 1.0 + POISSON_SLOPE * radius(centre.shape)
    low, high = 0.3, float(max(centre.shape))
    best = centre
    for _ in range(N_BISECTIONS):
        distance = (low + high) / 2.0
        mask = centre | scattered(order, distance * slope)
        low, high = (distance, high) if mask.sum() > wanted else (low, distance)
        best = min(best, mask, key=lambda m: abs(int(m.sum()) - wanted))
    return best


def scattered(order: NDArray[np.int64], distance: NDArray[np.float64]) -> Mask:
    """Take places in an order unless one that was taken is too near."""
    taken = np.zeros(distance.shape, dtype=bool)
    blocked = np.zeros(distance.shape, dtype=bool)
    n_x, n_y = distance.shape
    for place in order:
        x, y = divmod(int(place), n_y)
        if blocked[x, y]:
            continue
        taken[x, y] = True
        reach = distance[x, y]
        r = int(reach)
        xs = slice(max(x - r, 0), min(x + r + 1, n_x))
        ys = slice(max(y - r, 0), min(y + r + 1, n_y))
        away = np.hypot(
            np.arange(xs.start, xs.stop)[:, None] - x, np.arange(ys.start, ys.stop)[None] - y
        )
        blocked[xs, ys] |= away < reach
    return taken


def radius(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the distance from the middle, 1 at the edge of each axis."""
    axes = [(np.arange(n) - n // 2) / max(n / 2.0, 1.0) for n in shape]
    grids = np.meshgrid(*axes, indexing="ij")
    return np.asarray(np.sqrt(sum(g**2 for g in grids)))


KINDS: dict[str, Callable[[Mask, int, np.random.Generator], Mask]] = {
    "uniform": uniform,
    "random": random,
    "variable": variable,
    "poisson": poisson,
}
