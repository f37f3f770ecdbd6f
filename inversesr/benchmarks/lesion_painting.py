"""Lesions of known size, contrast and place, painted into real heads.

    x_with = max(x + c m s, 0),      T = x_with - x

s is the shape of a lesion, c its contrast, and m the median intensity of the brain.
`training.synthetic.paint_lesions` draws blobs of any kind at any place: here each is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inversesr.acquisition.foreground import Mask, foreground
from inversesr.errors import InputError
from inversesr.volume import Grid, Image, Volume

Array = NDArray[np.float64]
Box = tuple[slice, slice, slice]

DIAMETERS_MM = (2.0, 4.0, 6.0, 10.0, 20.0)
# Shares of the median intensity of the brain; white and grey matter of T1 differ by about 0.35.
CONTRASTS = (0.2, 0.5)
KINDS = ("bright", "dark", "rim")
# Centre in the middle of a slice, or half-way between two: in the gap where there is one.
PLACEMENTS = ("in slice", "between")
# A rim needs a core that can be told from it.
LEAST_RIM_MM = 6.0
RIM_SHARE, LEAST_RIM_WIDTH_MM, CORE = 0.3, 1.5, -0.5
# The outline fades over this width, and departs from a sphere by up to about this share.
EDGE_MM, WOBBLE = 1.0, 0.15
# Around a lesion, where it is compared with its surroundings; and free between two of them.
SURROUNDINGS_MM, APART_MM = 3.0, 8.0
# A head that is not stripped: skin, skull and fluid are about this deep.
SCALP_MM = 18.0
MOST_IN_ONE_SCENE, MOST_TRIES = 12, 400


@dataclass(frozen=True)
class Lesion:
    """What a lesion looks like, and where it lies as to the slices.

    Attributes:
        kind: "bright", "dark", or "rim": bright around a dark core.
        diameter_mm: Of the sphere that it departs from a little.
        contrast: Of its brightest part to its surroundings, as a share of the median intensity
            of the brain.
        placement: One of `PLACEMENTS`.
    """

    kind: str
    diameter_mm: float
    contrast: float
    placement: str


@dataclass(frozen=True, eq=False)
class Painted:
    """A lesion in a head.

    Attributes:
        lesion: What it looks like.
        centre: Its centre in voxels.
        box: Voxels around it, its surroundings included.
        change: What it adds to the image within the box.
        region: It and its surroundings within the box.
    """

    lesion: Lesion
    centre: Array
    box: Box
    change: Image
    region: Mask


@dataclass(frozen=True, eq=False)
class Slots:
    """Where slices lie in the voxels of an image.

    Attributes:
        axis: Axis across the slices.
        first: Centre of the first slice, in voxels.
        step: Distance between slices, in voxels.
        n: Number of slices.
    """

    axis: int
    first: float
    step: float
    n: int

    def nearest(self, place: float, placement: str) -> float:
        """Return the centre of a slice, or the middle between two, that is nearest."""
        half = 0.5 if placement == "between" else 0.0
        last = self.n - 1 - (1 if half else 0)
        number = round((place - self.first) / self.step - half)
        return self.first + self.step * (min(max(number, 0), last) + half)


def slots_of(thick: Grid, thin: Grid, axis: int) -> Slots:
    """Return where the slices of a scan lie in the voxels of a thin one, whose axes it shares."""
    thin_from_thick = np.linalg.inv(thin.affine) @ thick.affine
    step = float(thin_from_thick[axis, axis])
    return Slots(axis, float(thin_from_thick[axis, 3]), step, thick.shape[axis])


def all_lesions() -> list[Lesion]:
    """Return every combination of kind, size, contrast and placement that can be told apart."""
    return [
        Lesion(kind, diameter, contrast, placement)
        for diameter, contrast, kind, placement in product(
            DIAMETERS_MM, CONTRASTS, KINDS, PLACEMENTS
        )
        if kind != "rim" or diameter >= LEAST_RIM_MM
    ]


def inside_brain(truth: Image, spacing_mm: Sequence[float]) -> Mask:
    """Mark the brain: all of a stripped one; of a head what lies well below its surface."""
    head = np.asarray(ndimage.binary_fill_holes(foreground(truth)))
    is_stripped = bool((truth == truth.min()).mean() >= 0.1)
    if is_stripped:
        return head
    return np.asarray(ndimage.distance_transform_edt(head, sampling=spacing_mm) > SCALP_MM)


def place_scenes(
    truth: Volume,
    brain: Mask,
    slots: Slots,
    lesions: Sequence[Lesion],
    rng: np.random.Generator,
) -> list[list[Painted]]:
    """Distribute lesions over scenes, so that those of one scene lie apart.

    The first scene has a single lesion, the others up to `MOST_IN_ONE_SCENE`.

    Args:
        truth: The head without lesions.
        brain: Where lesions may lie.
        slots: Where the slices lie.
        lesions: What is to be placed, in any order.
        rng: Source of randomness.

    Raises:
        InputError: there is no room for one of them.
    """
    spacing = truth.grid.spacing_mm
    depth = ndimage.distance_transform_edt(np.pad(brain, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    level = float(np.median(truth.data[brain])) if brain.any() else 0.0
    scenes: list[list[Painted]] = [[]]
    for n in rng.permutation(len(lesions)):
        for scene in [*scenes[1:], []]:
            at = None
            if len(scene) < MOST_IN_ONE_SCENE:
                at = _free_place(lesions[n], scene, depth, slots, (spacing, rng))
            if at is not None:
                break
        if at is None:
            message = (
                f"the brain has no room for a lesion of {lesions[n].diameter_mm:g} mm: give a "
                "larger --crop, or a whole head"
            )
            raise InputError(message)
        scene.append(paint(truth, level, lesions[n], at, rng))
        if not scenes[0]:
            scenes[0] = scene
        elif len(scene) == 1:
            scenes.append(scene)
    return scenes


def _free_place(
    lesion: Lesion,
    scene: Sequence[Painted],
    depth: Array,
    slots: Slots,
    means: tuple[Sequence[float], np.random.Generator],
) -> Array | None:
    """Return a centre in voxels that is deep enough and far from others, or None."""
    spacing, rng = np.array(means[0]), means[1]
    radius = lesion.diameter_mm / 2.0
    deep = np.flatnonzero(depth >= radius + 1.0)
    if not len(deep):
        return None
    for chosen in rng.choice(deep, MOST_TRIES):
        at = np.array(np.unravel_index(chosen, depth.shape), dtype=np.float64)
        at[slots.axis] = slots.nearest(at[slots.axis], lesion.placement)
        nearest = tuple(np.round(at).astype(int))
        is_inside = all(0 <= k < n for k, n in zip(nearest, depth.shape, strict=True))
        if not is_inside or depth[nearest] < radius:
            continue
        free = (
            np.linalg.norm((at - other.centre) * spacing) - radius - other.lesion.diameter_mm / 2.0
            for other in scene
        )
        if all(distance >= APART_MM for distance in free):
            return at
    return None


def paint(
    truth: Volume, level: float, lesion: Lesion, centre: Array, rng: np.random.Generator
) -> Painted:
    """Return a lesion at a place in an image.

    Args:
        truth: The image without it.
        level: Median intensity of the brain.
        lesion: What it looks like.
        centre: Its centre in voxels.
        rng: Source of its outline.
    """
    spacing = np.array(truth.grid.spacing_mm)
    reach = lesion.diameter_mm / 2.0 * (1.0 + WOBBLE) + EDGE_MM + SURROUNDINGS_MM
    low = np.maximum(np.floor(centre - reach / spacing), 0).astype(int)
    high = np.minimum(np.ceil(centre + reach / spacing) + 1, truth.grid.shape).astype(int)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    places = np.meshgrid(*[np.arange(s.start, s.stop) for s in (x, y, z)], indexing="ij")
    away = np.stack([(p - c) * s for p, c, s in zip(places, centre, spacing, strict=True)], -1)
    shape, solid = shape_of(lesion, away, rng.standard_normal((3, 3)))
    image = truth.data[x, y, z]
    change = np.maximum(image + lesion.contrast * level * shape, np.minimum(image, 0.0)) - image
    distance = np.asarray(ndimage.distance_transform_edt(solid <= 0.0, sampling=spacing))
    region = distance <= SURROUNDINGS_MM
    return Painted(lesion, centre, (x, y, z), change.astype(np.float32), region)


def shape_of(lesion: Lesion, away_mm: Array, directions: Array) -> tuple[Array, Array]:
    """Return the shape of a lesion, -1 to 1, and how much of each voxel it fills, 0 to 1.

    Args:
        lesion: What it looks like.
        away_mm: Voxels from its centre in mm, shape (..., 3).
        directions: Along which its outline departs from a sphere, shape (3, 3).
    """
    distance = np.linalg.norm(away_mm, axis=-1)
    unit = away_mm / np.maximum(distance, 1e-6)[..., None]
    axes = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    wobble = 1.0 + WOBBLE * (((unit @ axes.T) ** 2).mean(axis=-1) - 1.0 / 3.0)
    radius = lesion.diameter_mm / 2.0
    solid = _ball(distance, radius * wobble)
    if lesion.kind == "bright":
        return solid, solid
    if lesion.kind == "dark":
        return -solid, solid
    width = max(LEAST_RIM_WIDTH_MM, RIM_SHARE * radius)
    core = _ball(distance, (radius - width) * wobble)
    return solid - (1.0 - CORE) * core, solid


def _ball(distance: Array, radius: Array) -> Array:
    """Return how much of each voxel a ball fills."""
    return np.asarray(np.clip((radius - distance) / EDGE_MM + 0.5, 0.0, 1.0))


def with_lesions(truth: Volume, scene: Sequence[Painted]) -> Volume:
    """Return the head with the lesions of a scene."""
    data = truth.data.copy()
    for painted in scene:
        data[painted.box] += painted.change
    return truth.with_data(data)


def around(shape: tuple[int, ...], scene: Sequence[Painted]) -> Mask:
    """Mark the lesions of a scene and their surroundings."""
    marked = np.zeros(shape, dtype=np.bool_)
    for painted in scene:
        marked[painted.box] |= painted.region
    return marked
