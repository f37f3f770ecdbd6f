"""8-bit copies of volumes, small enough to be carried inside a page.

    shown = round(255 (x - low) / (high - low)),   clipped to [0, 255]

Restored images are smooth across the slices: storing each voxel's difference from its neighbour
(modulo 256) makes them compress to two thirds without loss. Copies that are too large together
are coarsened, the largest first, by averaging pairs of voxels along the axis with the finest
spacing.
"""

import base64
import gzip
from collections.abc import Sequence
from dataclasses import dataclass, replace

import nibabel
import numpy as np
from numpy.typing import NDArray

from inversesr.volume import Grid, Volume

WHITE = 255
GRAY = "gray"
# A map may take this part of the letters of an image that is coarsened as readily.
MAP_BURDEN = 4.0


@dataclass(frozen=True, eq=False)
class Layer:
    """One volume to show, and how.

    Attributes:
        name: What it is: "measured", "restored", "deviation", ...
        volume: Its voxels.
        low: Intensity shown as 0.
        high: Intensity shown as 255.
        colours: Name of a NiiVue colour map.
        white: Which of 0 to 255 is white at first, until the window is changed.
    """

    name: str
    volume: Volume
    low: float
    high: float
    colours: str = GRAY
    white: int = WHITE


@dataclass(frozen=True)
class Packed:
    """A layer as text.

    Attributes:
        name: As in `Layer`.
        text: Base64 of a gzipped 8-bit NIfTI-1 file that holds differences along one axis.
        stride: Distance in the file between neighbours along that axis, in voxels.
        n_along: Number of voxels along that axis.
        low: Intensity shown as 0.
        high: Intensity shown as 255.
        colours: Name of a NiiVue colour map.
        spacing_mm: Voxel size of the copy.
        white: As in `Layer`.
        is_coarser: Whether voxels were averaged.
    """

    name: str
    text: str
    stride: int
    n_along: int
    low: float
    high: float
    colours: str
    spacing_mm: tuple[float, float, float]
    white: int = WHITE
    is_coarser: bool = False


def pack_layers(layers: Sequence[Layer], most_letters: int) -> list[Packed]:
    """Return all layers as text, coarsened until they fit, maps before images.

    Args:
        layers: Volumes to show.
        most_letters: How long all texts together may be.
    """
    current = list(layers)
    packed = [_pack(layer) for layer in current]
    while sum(len(p.text) for p in packed) > most_letters:
        largest = max(range(len(packed)), key=lambda k: _burden(packed[k]))
        volume = coarsen(current[largest].volume)
        current[largest] = replace(current[largest], volume=volume)
        packed[largest] = replace(_pack(current[largest]), is_coarser=True)
    return packed


def _burden(packed: Packed) -> float:
    """Return how readily a layer is coarsened: a map over an image need not be as fine."""
    return len(packed.text) * (1.0 if packed.colours == GRAY else MAP_BURDEN)


def coarsen(volume: Volume) -> Volume:
    """Average pairs of voxels along the axis with the finest spacing.

    Where their number is odd, the last one counts twice.
    """
    sides = [
        (spacing, axis)
        for axis, spacing in enumerate(volume.grid.spacing_mm)
        if volume.data.shape[axis] > 1
    ]
    axis = min(sides)[1]
    data = np.moveaxis(volume.data, axis, 0)
    if len(data) % 2:
        data = np.concatenate([data, data[-1:]])
    data = np.moveaxis((data[0::2] + data[1::2]) / 2.0, 0, axis)
    fine_from_coarse = np.eye(4)
    fine_from_coarse[axis, axis] = 2.0
    fine_from_coarse[axis, 3] = 0.5
    x, y, z = data.shape
    grid = Grid((x, y, z), volume.grid.affine @ fine_from_coarse)
    return Volume(np.ascontiguousarray(data, dtype=np.float32), grid)


def smoothest_axis(shown: NDArray[np.uint8]) -> int:
    """Return the axis along which neighbours differ least."""
    changes = [
        float(np.abs(np.diff(shown.astype(np.int16), axis=axis)).mean())
        if shown.shape[axis] > 1
        else np.inf
        for axis in range(3)
    ]
    return int(np.argmin(changes))


def _pack(layer: Layer) -> Packed:
    scaled = (layer.volume.data - layer.low) * (WHITE / max(layer.high - layer.low, 1e-30))
    shown = np.clip(np.round(scaled), 0, WHITE).astype(np.uint8)
    axis = smoothest_axis(shown)
    first = np.zeros_like(shown.take([0], axis))
    differences = np.diff(shown, axis=axis, prepend=first)
    file = nibabel.Nifti1Image(differences, layer.volume.grid.affine).to_bytes()
    # a time stamp would make two reports of one run differ
    text = base64.b64encode(gzip.compress(file, compresslevel=6, mtime=0)).decode("ascii")
    return Packed(
        layer.name,
        text,
        int(np.prod(shown.shape[:axis])),
        shown.shape[axis],
        layer.low,
        layer.high,
        layer.colours,
        layer.volume.grid.spacing_mm,
        layer.white,
    )
