"""Is a lesion still there, and is there one that was not? Contrast matched to its shape.

    r = <D, t>_R / <T, t>_R,      t = T - mean_R T

D is the difference between an image with and one without the lesion, T that of the truth, and R
the lesion with its surroundings: 1 for the truth, 0 where nothing of the lesion is left.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inversesr.acquisition.foreground import Mask
from inversesr.volume import Image

Array = NDArray[np.float64]
Box = tuple[slice, slice, slice]

# Places elsewhere at which a lesion's shape is sought, for the spread of what is found there.
N_ELSEWHERE = 64
# What no display shows: the least spread, as a share of the lesion's contrast.
LEAST_SPREAD = 1e-3
# Kept: at least this share of the contrast that is in the slices, this far above the spread.
KEPT_SHARE, LEAST_CONTRAST_TO_NOISE = 0.5, 3.0
# A lesion of whose contrast the slices hold less than this is not measured.
LEAST_MEASURED = 0.1
# Of a spot: its smallest diameter, and how far around it its surroundings reach.
LEAST_SPOT_MM, SPOT_SURROUNDINGS_MM = 2.0, 3.0


@dataclass(frozen=True, eq=False)
class Template:
    """The shape of a lesion, by which it is sought.

    Attributes:
        box: Where it lies.
        weights: <D, weights> is the contrast of D, 1 for the truth; shape of the box.
    """

    box: Box
    weights: Array

    @classmethod
    def of(cls, box: Box, change: Image, region: Mask) -> "Template":
        """Make the template of what a lesion adds to an image.

        Args:
            box: Where it lies.
            change: What it adds, within the box.
            region: It and its surroundings, within the box.
        """
        T = change.astype(np.float64)
        t = np.where(region, T - T[region].mean(), 0.0)
        power = float((T * t).sum())
        return cls(box, t / power if power > 0.0 else np.zeros_like(t))

    def contrast(self, difference: Image) -> float:
        """Return the contrast of the lesion in a difference of images, 1 for the truth."""
        return float((difference[self.box] * self.weights).sum())

    def spread(self, difference: Image, free: Mask, rng: np.random.Generator) -> float:
        """Return the root mean square of the contrasts that are found where no lesion is.

        Args:
            difference: Difference of images.
            free: Voxels at which the centre of the template may lie.
            rng: Source of the places.
        """
        size = np.array(self.weights.shape)
        allowed = np.zeros_like(free)
        last = np.array(free.shape) - size
        if (last < 0).any():
            return LEAST_SPREAD
        x, y, z = (slice(s // 2, s // 2 + n + 1) for s, n in zip(size, last, strict=True))
        allowed[x, y, z] = free[x, y, z]
        places = np.argwhere(allowed)
        if not len(places):
            return LEAST_SPREAD
        corners = rng.choice(places, N_ELSEWHERE) - size // 2
        found = [self._at(difference, corner) for corner in corners]
        return max(float(np.sqrt(np.mean(np.square(found)))), LEAST_SPREAD)

    def _at(self, difference: Image, corner: NDArray[np.int64]) -> float:
        x, y, z = (
            slice(int(c), int(c) + n) for c, n in zip(corner, self.weights.shape, strict=True)
        )
        return float((difference[x, y, z] * self.weights).sum())


def outcome(measured: float, found: float, contrast_to_noise: float) -> str:
    """Return whether a lesion is "kept", "missed", or was "not measured" by any slice.

    Args:
        measured: Its contrast in what the slices show, 1 for all of it.
        found: Its contrast in the image, likewise.
        contrast_to_noise: Its contrast over the spread elsewhere.
    """
    if measured < LEAST_MEASURED:
        return "not measured"
    is_there = found >= KEPT_SHARE * measured and contrast_to_noise >= LEAST_CONTRAST_TO_NOISE
    return "kept" if is_there else "missed"


@dataclass(frozen=True)
class Spot:
    """A part of an image that looks like a lesion, and is none.

    Attributes:
        contrast: To its surroundings, in intensities; below 0 for a dark one.
        diameter_mm: Of a sphere of its volume.
        centre: Its centre of mass in voxels.
    """

    contrast: float
    diameter_mm: float
    centre: tuple[float, float, float]


def spots(
    image: Image,
    truth: Image,
    inside: Mask,
    spacing_mm: tuple[float, float, float],
    least_contrast: float,
) -> list[Spot]:
    """Find what stands out in an image like a lesion and does not in the truth.

    A spot is a connected part where image and truth differ by more than half of the least
    contrast, at least as large as a sphere of 2 mm. In the image its mean differs from that of
    its surroundings by the least contrast or more, in the truth by less than half of it.

    Args:
        image: Image to judge.
        truth: What it should be.
        inside: Where spots count: their centres lie there.
        spacing_mm: Voxel size.
        least_contrast: In intensities.
    """
    voxel = float(np.prod(spacing_mm))
    least = np.pi / 6.0 * LEAST_SPOT_MM**3 / voxel
    found = []
    for sign in (1.0, -1.0):
        labels, n_parts = ndimage.label((sign * (image - truth) > 0.5 * least_contrast) & inside)
        sizes = np.bincount(labels.ravel(), minlength=n_parts + 1)
        boxes = ndimage.find_objects(labels)
        for n in np.flatnonzero(sizes[1:] >= least) + 1:
            box, part, ring = _with_ring(labels, int(n), boxes[n - 1], spacing_mm)
            shown, true = (_contrast(x[box], part, ring) for x in (image, truth))
            if sign * shown >= least_contrast and sign * true < 0.5 * least_contrast:
                centre = np.argwhere(part).mean(axis=0) + [s.start for s in box]
                x, y, z = centre.tolist()
                diameter = float(np.cbrt(6.0 / np.pi * sizes[n] * voxel))
                found.append(Spot(shown, diameter, (x, y, z)))
    return found


def _with_ring(
    labels: NDArray[Any], n: int, box: tuple[slice, ...], spacing_mm: tuple[float, float, float]
) -> tuple[Box, Mask, Mask]:
    """Return a box around a part and its surroundings, and where in it they are."""
    margin = [int(np.ceil(SPOT_SURROUNDINGS_MM / s)) for s in spacing_mm]
    x, y, z = (
        slice(max(side.start - m, 0), min(side.stop + m, size))
        for side, m, size in zip(box, margin, labels.shape, strict=True)
    )
    part = labels[x, y, z] == n
    distance = np.asarray(ndimage.distance_transform_edt(~part, sampling=spacing_mm))
    return (x, y, z), part, ~part & (distance <= SPOT_SURROUNDINGS_MM)


def _contrast(image: Image, part: Mask, ring: Mask) -> float:
    """Return the mean of a part less that of its surroundings."""
    return float(image[part].mean() - image[ring].mean()) if ring.any() else 0.0


def of_one_only(found: list[Spot], others: list[Spot], spacing_mm: Array) -> list[Spot]:
    """Return the spots that are not also among others: of the same sign, overlapping spheres."""

    def is_among(spot: Spot) -> bool:
        return any(
            spot.contrast * other.contrast > 0.0
            and np.linalg.norm((np.array(spot.centre) - other.centre) * spacing_mm)
            <= (spot.diameter_mm + other.diameter_mm) / 2.0
            for other in others
        )

    return [spot for spot in found if not is_among(spot)]
