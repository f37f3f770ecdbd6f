"""The noise that is found in a scan beside the noise that was put into it.

Crops of thin-slice images are averaged into thick slices, and noise is added. What the images
hold of noise themselves is averaged too, and left in: it makes an estimate seem too high by
sqrt(1 + (own / added)^2), so the quietest images say most.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inversesr.acquisition.noise import estimate_noise, noise_map
from inversesr.acquisition.simulation import simulate, slice_axis_towards
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.comparison import read_truth
from inversesr.io.checks import stem
from inversesr.volume import Image, Volume

BRIGHT_PERCENTILE, TISSUE_SHARE = 99.9, 0.15
# Of the noise map of a simulated scan: what the middle has more than the rim, and from end to end.
MIDDLE, WIDTH, TILT = 1.2, 0.25, 0.3
# By so much of the bright end dark tissue is lowered below air, as after an inversion pulse, and
# the share of it at which it begins; bright tissue keeps its contrast.
LOWERED, BEGINS = 0.3, 0.1
RICIAN, MASKED, SIGNED, VARYING = "magnitude", "masked", "both signs", "varying"
KINDS = (RICIAN, MASKED, SIGNED, VARYING)


@dataclass(frozen=True)
class NoiseRow:
    """One row: one image, one kind and level of noise.

    Attributes:
        image: Name of the image.
        kind: "magnitude" (Rician), "masked" (the same, air set to zero), "both signs" (Gaussian),
            or "varying" (Rician, up to three times as large in the middle).
        added_percent: Noise that was added, in percent of the bright end; where it varies, the
            root of its mean square over the tissue.
        found_percent: Noise that was found, likewise.
        map_error: Median over the tissue of |found / added - 1| of the map.
    """

    image: str
    kind: str
    added_percent: float
    found_percent: float
    map_error: float

    @property
    def ratio(self) -> float:
        """Found over added; 1 is right."""
        return self.found_percent / self.added_percent


def measure_noise(
    truths: Sequence[Path],
    levels_percent: Sequence[float],
    task: SimulateConfig,
    crop: int | None = None,
    tell: Callable[[NoiseRow], None] = lambda _row: None,
) -> list[NoiseRow]:
    """Add noise of every kind to simulated scans, and find it.

    Args:
        truths: Thin-slice images.
        levels_percent: Noise, in percent of the bright end.
        task: How the thick slices are made.
        crop: Voxels to keep about the middle along both axes within the slices; None for all.
        tell: Called after each row.
    """
    rows = []
    for path in truths:
        clean = simulate(read_truth(path, task.axis, crop).volume, task)
        axis = slice_axis_towards(clean.grid, task.axis)
        for percent in levels_percent:
            for kind in KINDS:
                generator = np.random.default_rng(task.seed)
                rows.append(_row(stem(path), kind, clean, axis, (percent, generator)))
                tell(rows[-1])
    return rows


def _row(
    image: str, kind: str, clean: Volume, axis: int, noise: tuple[float, np.random.Generator]
) -> NoiseRow:
    percent, generator = noise
    bright = float(np.percentile(clean.data, BRIGHT_PERCENTILE))
    sigma = percent / 100.0 * bright * (pattern(clean.grid.shape) if kind == VARYING else 1.0)
    scan = clean.with_data(noisy(clean.data, sigma, kind, generator))
    tissue = clean.data > TISSUE_SHARE * bright
    true = np.broadcast_to(np.asarray(sigma, dtype=np.float32), clean.grid.shape)[tissue]
    error = np.abs(noise_map(scan, axis)[tissue] / true - 1.0)
    return NoiseRow(
        image,
        kind,
        100.0 * float(np.sqrt(np.mean(np.square(true, dtype=np.float64)))) / bright,
        100.0 * estimate_noise(scan, axis) / bright,
        float(np.median(error)),
    )


def noisy(clean: Image, sigma: float | Image, kind: str, generator: np.random.Generator) -> Image:
    """Return an image with noise of a kind in `KINDS`.

    Args:
        clean: Image of magnitudes.
        sigma: Standard deviation, one number or one a voxel.
        kind: What becomes of it.
        generator: Source of the noise.
    """
    if kind == SIGNED:
        share = clean / np.percentile(clean, BRIGHT_PERCENTILE)
        lowered = LOWERED * (1.0 - np.exp(-share / BEGINS))
        inverted = clean * (1.0 - lowered / np.maximum(share, 1e-6))
        return np.asarray(inverted + sigma * generator.standard_normal(clean.shape), np.float32)
    real = clean + sigma * generator.standard_normal(clean.shape)
    magnitude = np.hypot(real, sigma * generator.standard_normal(clean.shape))
    return np.asarray(np.where((clean > 0.0) | (kind != MASKED), magnitude, 0.0), np.float32)


def pattern(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """Return how noise of parallel imaging varies: most in the middle, far from the coils."""
    i, j, _ = np.meshgrid(*(np.linspace(-1.0, 1.0, n) for n in shape), indexing="ij")
    middle = np.exp(-(i**2 + j**2) / WIDTH)
    return np.asarray(1.0 + MIDDLE * middle + TILT * j, dtype=np.float32)
