"""How much a scan is like the brain of an adult: what the tissues of a mean brain explain of it.

    y = B b + T t + rest        fit = 1 - |y - B b - T t|^2 / |y - B b'|^2

y are intensities of the scan where a mean brain lies, in its best pose and size; T are how often
a place is fluid, and white matter; B are quadratic polynomials, for the shading of coils. Each
contrast has its own t, so contrasts are alike to it. A fetus, a phantom or another part of the
body has nothing where fluid or white matter should be, and a fit near 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from inversesr.volume import Affine, Grid, Image, Volume

TEMPLATE_NAME = "tissue_template.npz"
# Folds differ from person to person: the scan is blurred to this, the mean brain is smooth anyway.
COARSE_MM, BLUR_MM = 4.0, 5.0
MM_PER_DEVIATION = 2.355
# points of the mean brain: to find a pose, to refine it, and for the figure
N_COARSE, N_FINE, N_ALL = 1_500, 5_000, 20_000
# of the mean brain, inside the field of view; less says nothing
LEAST_SHARE, LEAST_SHARE_OF_SMALL = 0.4, 0.8
# of its length along each axis, in the field of view
LEAST_ROOM = 0.4
# Nothing further is tried above it: scans of adults have 0.3 to 0.6.
CLEAR_FIT = 0.3
# how far a parameter is moved at first: rotations, shifts in mm, logarithm of the size
STEPS = np.array([0.15, 0.15, 0.15, 6.0, 6.0, 6.0, 0.08])
# sizes at which the search begins, and its range: of adults; of smaller brains, in which only a
# clear fit is believed
ADULTS, SMALL = ((1.05, 0.9, 0.78), (0.72, 1.28)), ((0.7, 0.5), (0.45, 0.75))
START_PITCHES = (-0.35, 0.0, 0.35)
# from the top of the head to the middle of the brain, mm; of whole heads and bare brains
START_DEPTHS_MM = (75.0, 60.0)
# a narrower image may show one side of a head: 130 mm is the width of a brain
HALF_MM = 110.0
START_SHIFTS_MM = (-15.0, 0.0, 15.0)
N_STARTS, N_REFINED = 16, 4
BRIGHT_SHARE = 0.25

# Scans of adults, in any contrast, are above this, other kinds of images below: decision 037.
LEAST_FIT = 0.15
# Brains of newborns are 0.6 to 0.7 times as long as those of adults.
LEAST_SIZE, NEARLY_SMALL = 0.75, 0.8

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Anatomy:
    """How well the mean brain of an adult fits a scan.

    Attributes:
        fit: Share of the contrast within the brain that its tissues explain, 0 to 1.
        size: Length of the brain over that of the mean brain.
    """

    fit: float
    size: float


@dataclass(frozen=True, eq=False)
class Template:
    """Points of the mean brain.

    Attributes:
        points: Where they are, about their middle, mm, shape (N, 3).
        regressors: Polynomials, then how often fluid and white matter lie there, shape (N, K).
        n_shading: How many of the regressors are polynomials.
    """

    points: Points
    regressors: Points
    n_shading: int

    def first(self, n: int) -> "Template":
        """Return some of the points; they are in random order."""
        return Template(self.points[:n], self.regressors[:n], self.n_shading)


def anatomy_of(volume: Volume) -> Anatomy | None:
    """Find the pose and size in which the mean brain of an adult fits a scan best.

    Args:
        volume: A scan of any contrast, spacing and orientation; its affine is trusted roughly.

    Returns:
        How well it fits; None where the field of view is too small to tell.
    """
    if _room(volume) < LEAST_ROOM:
        return None
    coarse = _coarse(volume)
    if coarse is None:
        return None
    found = _search(coarse, *ADULTS)
    if found[0] <= CLEAR_FIT or np.exp(found[1][6]) < NEARLY_SMALL:
        small = _search(coarse, *SMALL)
        found = small if small[0] > max(CLEAR_FIT, found[0]) else found
    fit, pose = found
    return Anatomy(fit, float(np.exp(pose[6])))


def _search(
    coarse: Volume, sizes: tuple[float, ...], allowed: tuple[float, float]
) -> tuple[float, Points]:
    """Return the best fit and its pose, from starts of some sizes and within a range of them."""
    few, more, whole = (_template().first(n) for n in (N_COARSE, N_FINE, N_ALL))
    starts = sorted(
        _starts(coarse, sizes), key=lambda pose: _explained(coarse, pose, few), reverse=True
    )
    found = _best(coarse, starts[:N_STARTS], few, allowed, (1e-2, 0.1))
    found = _best(coarse, found[:N_REFINED], more, allowed, (1e-3, 0.03))
    return _explained(coarse, found[0], whole), found[0]


def doubt_of_anatomy(volume: Volume) -> str:
    """Return why a scan is not like the brains that the built-in prior has seen; "" if it is.

    Args:
        volume: A scan, as for `anatomy_of`.
    """
    found = anatomy_of(volume)
    if found is None:
        return ""
    if found.fit < LEAST_FIT:
        return (
            "no adult brain was found in the scan (a mean adult brain explains "
            f"{found.fit:.0%} of its contrast; at least {LEAST_FIT:.0%} is expected)"
        )
    if found.size < LEAST_SIZE:
        return (
            f"the brain is only {found.size:.0%} as long as the mean adult brain "
            f"(at least {LEAST_SIZE:.0%} is expected)"
        )
    return ""


def _room(volume: Volume) -> float:
    """Return the share of the mean brain's length that the field of view holds at least."""
    lengths = np.ptp(_template().points, axis=0)
    # along the axes of the world that those of the scan are nearest to
    nearest = np.abs(volume.grid.directions).argmax(axis=0)
    extent = np.array(volume.grid.shape) * np.array(volume.grid.spacing_mm)
    return float((extent / lengths[nearest]).min())


def _coarse(volume: Volume) -> Volume | None:
    """Return a scan at about 4 mm, its extreme intensities clipped, from 0 to 1.

    None where hardly a voxel differs from the others.
    """
    factors = np.maximum(1, np.round(COARSE_MM / np.array(volume.grid.spacing_mm))).astype(int)
    small = _block_means(volume, factors)
    spacing = np.array(small.grid.spacing_mm)
    widths = np.sqrt(np.maximum(0.0, BLUR_MM**2 - spacing**2)) / MM_PER_DEVIATION / spacing
    data = gaussian_filter(small.data, widths)
    low, high = np.percentile(data, (0.5, 99.5))
    if not high > low:
        return None
    return small.with_data(np.clip((data - low) / (high - low), 0.0, 1.0).astype(np.float32))


def _block_means(volume: Volume, factors: NDArray[np.int64]) -> Volume:
    """Return means of blocks of voxels; what fills no block is left out."""
    counts = np.array(volume.grid.shape) // factors
    kept = volume.data[tuple(slice(0, int(n)) for n in counts * factors)]
    pairs = [int(n) for both in zip(counts, factors, strict=True) for n in both]
    affine = volume.grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ ((factors - 1) / 2.0)
    affine[:3, :3] *= factors
    shape = (pairs[0], pairs[2], pairs[4])
    return Volume(kept.reshape(pairs).mean(axis=(1, 3, 5)), Grid(shape, affine))


def _starts(coarse: Volume, sizes: tuple[float, ...]) -> Iterator[Points]:
    """Return poses from which the best one is searched."""
    bright = np.argwhere(coarse.data > BRIGHT_SHARE)
    affine = coarse.grid.affine
    world = bright @ affine[:3, :3].T + affine[:3, 3]
    low, top = np.percentile(world, (2.0, 98.0), axis=0)
    middle = (low + top) / 2.0
    is_half = top[0] - low[0] < HALF_MM
    depths = [(size, size * depth) for size in sizes for depth in START_DEPTHS_MM]
    heights = [(size, middle[2]) for size in sizes]
    heights += [(size, top[2] - depth) for size, depth in depths]
    for (size, z), shift, pitch in product(heights, START_SHIFTS_MM, START_PITCHES):
        is_cut = is_half and size > LEAST_SIZE
        for x in (middle[0], low[0], top[0]) if is_cut else (middle[0],):
            yield np.array([pitch, 0.0, 0.0, x, middle[1] + size * shift, z, np.log(size)])


def _best(
    coarse: Volume,
    starts: Sequence[Points],
    template: Template,
    allowed: tuple[float, float],
    tolerances: tuple[float, float],
) -> list[Points]:
    """Refine poses one after the other until one is clear; best first."""
    low, high = np.log(allowed)

    def cost(steps: Points) -> float:
        pose = steps * STEPS
        excess = max(0.0, float(low - pose[6]), float(pose[6] - high))
        return 10.0 * excess - _explained(coarse, pose, template)

    found: list[tuple[float, Points]] = []
    options: Any = {"maxiter": 2, "ftol": tolerances[0], "xtol": tolerances[1]}
    for start in starts:
        result = minimize(cost, start / STEPS, method="Powell", options=options)
        found.append((float(result.fun), result.x * STEPS))
        if found[-1][0] < -CLEAR_FIT:
            break
    return [pose for _, pose in sorted(found, key=lambda scored: scored[0])]


def _explained(coarse: Volume, pose: Points, template: Template) -> float:
    """Return the share of the contrast that tissues explain in a pose, 0 to 1."""
    places = _voxels_of(coarse, pose, template.points)
    inside = _inside(coarse, places)
    is_small = np.exp(pose[6]) < LEAST_SIZE
    if inside.mean() < (LEAST_SHARE_OF_SMALL if is_small else LEAST_SHARE):
        return 0.0
    y = map_coordinates(coarse.data, places[inside].T, order=1, mode="nearest")
    columns = np.column_stack([template.regressors[inside], y]).astype(np.float64)
    gram = columns.T @ columns
    gram[np.diag_indices_from(gram)] += 1e-9 * gram.trace()
    # the last row of a Cholesky factor holds what each regressor explains, and the rest
    last = np.square(np.linalg.cholesky(gram)[-1, template.n_shading :])
    return float(1.0 - last[-1] / last.sum())


def _voxels_of(coarse: Volume, pose: Points, points: Points) -> Points:
    """Return where points of the mean brain lie, in voxels of the scan, shape (N, 3)."""
    world_to_voxel = np.linalg.inv(coarse.grid.affine)
    turn = Rotation.from_rotvec(pose[:3]).as_matrix() * np.exp(pose[6])
    shift = world_to_voxel[:3, :3] @ pose[3:6] + world_to_voxel[:3, 3]
    return np.asarray(points @ (world_to_voxel[:3, :3] @ turn).T + shift)


def _inside(coarse: Volume, places: Points) -> NDArray[np.bool_]:
    edge = np.array(coarse.grid.shape) - 0.5
    return np.asarray(((places >= -0.5) & (places <= edge)).all(axis=1))


@cache
def _template() -> Template:
    with files("inversesr.acquisition").joinpath(TEMPLATE_NAME).open("rb") as stream:
        kept = np.load(stream)
        fluid, white, brain, affine = (kept[k] for k in ("fluid", "white", "brain", "affine"))
    return template_of(fluid / 255.0, white / 255.0, brain / 255.0, affine)


def template_of(fluid: Image, white: Image, brain: Image, affine: Affine) -> Template:
    """Return points of a mean brain.

    Args:
        fluid: How often a voxel is fluid, 0 to 1, shape (X, Y, Z).
        white: How often it is white matter, likewise.
        brain: How often it is in the brain, its fluid included, likewise.
        affine: World coordinates of the voxels.
    """
    voxels = np.argwhere(brain > 0.5)
    voxels = np.random.default_rng(0).permutation(voxels)[:N_ALL]
    world = voxels @ affine[:3, :3].T + affine[:3, 3]
    points = world - world.mean(axis=0)
    x, y, z = (points / np.abs(points).max()).T
    shading = [np.ones(len(x)), x, y, z, x * x, y * y, z * z, x * y, y * z, z * x]
    tissues = [tissue[tuple(voxels.T)] for tissue in (fluid, white)]
    return Template(points, np.column_stack([*shading, *tissues]), len(shading))
