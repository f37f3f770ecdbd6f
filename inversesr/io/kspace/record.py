"""K-space as it was measured, whatever file it came from.

Axes are named by letters: c coils, x, y and z encoded axes, s slices that were excited one by one.
x is the readout; k = 0 lies at index n // 2.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inversesr.volume import Grid

Samples = NDArray[np.complex64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class RawKSpace:
    """What a file holds.

    Attributes:
        array: Samples, complex, any order of axes; zero where nothing was measured.
        axes: A letter for each axis; None where the file does not say.
        mask: What was measured, if the file says: along y, over two axes, or over all.
        noise: Samples without signal, shape (n_coils, n); None without a noise scan.
        maps: Coil sensitivities, axes as of the array; None where the file has none.
        grid: Where the voxels of the image lie; None where the file does not say.
        image_shape: Voxels that the image is to be cut to; None for all.
        warnings: What is odd about the file, in sentences.
    """

    array: NDArray[Any]
    axes: str | None = None
    mask: NDArray[Any] | None = None
    noise: NDArray[Any] | None = None
    maps: NDArray[Any] | None = None
    grid: Grid | None = None
    image_shape: tuple[int, int, int] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class KSpace:
    """K-space ready for reconstruction.

    Attributes:
        samples: Shape (n_coils, X, Y, Z), zero where nothing was measured.
        measured: Which samples were measured, shape (X, Y, Z).
        encoded: Which of the three axes are encoded: (0, 1) for slices, (0, 1, 2) in 3D.
        noise: Samples without signal, shape (n_coils, n); None without a noise scan.
        maps: Coil sensitivities, the shape of samples; None where they are to be found.
        grid: Where the voxels of the image lie; None where that is not known.
        image_shape: Voxels that the image is to be cut to, about its middle.
        warnings: What is odd about the data, in sentences.
    """

    samples: Samples
    measured: Mask
    encoded: tuple[int, ...]
    noise: Samples | None = None
    maps: Samples | None = None
    grid: Grid | None = None
    image_shape: tuple[int, int, int] | None = None
    warnings: tuple[str, ...] = field(default=())

    @property
    def n_coils(self) -> int:
        """Number of coils."""
        return len(self.samples)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the encoded image."""
        x, y, z = self.samples.shape[1:]
        return x, y, z

    @property
    def acceleration(self) -> float:
        """Samples of the whole k-space to one that was measured."""
        return float(self.measured.size / max(int(self.measured.sum()), 1))
