"""Diffusion series thickened and restored: maps, radiomics and grades against the truth.

A series of thin slices is the truth. Its slices are averaged in groups, restored, and compared:
maps by their error in the head, radiomics features by their agreement in spheres.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from inversesr.dwi.config import DwiConfig
from inversesr.dwi.maps import diffusion_maps, tissue_mask
from inversesr.dwi.radiomics import agreement_icc, features_of
from inversesr.errors import InputError
from inversesr.io.gradients import Gradients, Series, gradient_files, read_gradients, read_series
from inversesr.measurements.slices import Task
from inversesr.volume import Grid, Image, Volume
from inversesr.workflows.dwi_restore import describe_series, noise_of, restore_series
from inversesr.workflows.radiomics import on_grid

Image4 = NDArray[np.float32]
Mask = NDArray[np.bool_]
Array = NDArray[np.float64]

# Of a lesion, and of a region of radiomics.
RADIUS_MM = 12.0


@dataclass(frozen=True)
class DwiRow:
    """One figure of the benchmark.

    Attributes:
        part: "maps", "radiomics" or "grade".
        factor: How many thin slices made a thick one.
        measure: What was measured.
        thick: Of thick slices; of maps, of splines through them.
        thin: Of restored slices.
        truth: Of the truth, where that has a value of its own.
        low: Lower end of a 95 % interval, where there is one.
        high: Upper end.
    """

    part: str
    factor: int
    measure: str
    thick: float
    thin: float
    truth: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, eq=False)
class Truth:
    """A series of thin slices.

    Attributes:
        series: The series, an even share of its slices left out at the end.
        gradients: Weighting of each volume.
        axis: Axis across the slices.
    """

    series: Series
    gradients: Gradients
    axis: int


def read_truth(path: Path, n_weighted: int | None = None) -> Truth:
    """Read a series of thin slices with the files beside it.

    Args:
        path: 4D image file; slices lie along its third axis.
        n_weighted: Keep so many weighted volumes; None for all.

    Raises:
        InputError: it is not usable.
    """
    series = read_series(path)
    gradients = read_gradients(*gradient_files(path, None, None), len(series.data), path.name)
    if n_weighted is not None:
        first, others = np.flatnonzero(gradients.is_b0), np.flatnonzero(~gradients.is_b0)
        kept = np.sort(np.r_[first, others[:n_weighted]])
        series = replace(series, data=series.data[kept])
        gradients = Gradients(gradients.bvals[kept], gradients.bvecs[kept])
    return Truth(series, gradients, 2)


def thickened(truth: Truth, factor: int) -> tuple[Series, Truth]:
    """Return thick slices, each the mean of some thin ones, and the truth that they cover.

    Raises:
        InputError: there would be fewer than 4 slices.
    """
    data, grid = truth.series.data, truth.series.scan.volume.grid
    n = data.shape[3] // factor
    if n < 4:
        message = f"{data.shape[3]} slices make {n} of {factor} each; expected at least 4"
        raise InputError(message)
    covered = np.ascontiguousarray(data[..., : n * factor])
    x, y, _ = grid.shape
    fine = Grid((x, y, n * factor), grid.affine)
    thick = covered.reshape(*covered.shape[:3], n, factor).mean(axis=4)
    spacing = list(grid.spacing_mm)
    spacing[2] *= factor
    coarse = fine.respaced((x, y, n), (spacing[0], spacing[1], spacing[2]))
    scan = truth.series.scan
    made = Series(replace(scan, volume=Volume(thick[0], coarse), sidecar={}), thick)
    whole = Series(replace(scan, volume=Volume(covered[0], fine), sidecar={}), covered)
    return made, replace(truth, series=whole)


@dataclass(frozen=True, eq=False)
class Compared:
    """One series in four forms on the fine grid, and the head in it."""

    truth: Truth
    thick: Series
    thin: Image4
    spline: Image4
    sigma: float
    head: Mask

    def adc(self, data: Image4, mask: Mask | None = None) -> Image:
        """Return the log-linear ADC of volumes on the fine grid."""
        return self.maps(data, ("adc",), self.head if mask is None else mask)["adc"]

    def maps(self, data: Image4, names: Sequence[str], mask: Mask) -> dict[str, Image]:
        """Return maps of volumes."""
        g = self.truth.gradients
        if names == ("adc",):
            # without directions no tensor is fitted
            g = Gradients(g.bvals, np.zeros_like(g.bvecs))
        found = diffusion_maps(data, g, mask, self.sigma)
        return {name: found[name] for name in names if name in found}

    @property
    def adc_of_thick(self) -> Image:
        """ADC of the thick slices themselves, interpolated linearly on the fine grid."""
        g, data = self.truth.gradients, self.thick.data
        plain = Gradients(g.bvals, np.zeros_like(g.bvecs))
        everywhere = np.ones(data.shape[1:], dtype=np.bool_)
        image = diffusion_maps(data, plain, everywhere, self.sigma)["adc"]
        fine = self.truth.series.scan.volume.grid
        return on_grid(Volume(image, self.thick.scan.volume.grid), fine)


def compare(truth: Truth, factor: int) -> Compared:
    """Thicken a series and restore it."""
    thick, whole = thickened(truth, factor)
    spacing = whole.series.scan.volume.grid.spacing_mm[2]
    config = DwiConfig(spacing_mm=spacing)
    restored = restore_series(thick, truth.gradients, config)
    acquisition, _ = describe_series(thick, config)
    grid = thick.scan.volume.grid
    spline = np.stack(
        [Task(torch.from_numpy(v), grid, acquisition, 0.0).x0.numpy() for v in thick.data]
    )
    sigma = noise_of(whole.series, truth.gradients, truth.axis)
    head = tissue_mask(whole.series.data, truth.gradients, sigma)
    return Compared(whole, thick, restored.data, spline, sigma, head)


def measure_maps(compared: Compared, factor: int) -> list[DwiRow]:
    """Return errors of maps in the head: of splines through the slices, and of restored ones."""
    names = ("adc", "adcrobust", "md", "fa")
    head, whole = compared.head, compared.truth.series.data
    true = compared.maps(whole, names, head)
    found = [compared.maps(data, names, head) for data in (compared.spline, compared.thin)]
    rows = []
    for name, image in true.items():
        apart = [(maps[name] - image)[head].astype(np.float64) for maps in found]
        rms = [float(np.sqrt((a**2).mean())) for a in apart]
        mean = [float(np.abs(a).mean()) for a in apart]
        bias = [100.0 * float(a.mean() / image[head].mean()) for a in apart]
        rows += [
            DwiRow("maps", factor, f"{name}, root mean square error", rms[0], rms[1]),
            DwiRow("maps", factor, f"{name}, mean absolute error", mean[0], mean[1]),
            DwiRow("maps", factor, f"{name}, mean difference in percent", bias[0], bias[1]),
        ]
    return rows


def measure_radiomics(compared: Compared, factor: int, n_regions: int = 40) -> list[DwiRow]:
    """Return for each feature the agreement with the truth over spheres in the head."""
    rng = np.random.default_rng(0)
    grid = compared.truth.series.scan.volume.grid
    regions = places(compared.head, grid, n_regions, rng, apart_mm=RADIUS_MM)
    images = [
        compared.adc_of_thick,
        compared.adc(compared.thin),
        compared.adc(compared.truth.series.data),
    ]
    tables = [table_of(image, regions) for image in images]
    names = list(features_of(images[0], regions[0]))
    rows = []
    for n, name in enumerate(names):
        thick, thin, truth = (table[:, n] for table in tables)
        if truth.std() > 0.0:
            agreement = agreement_icc(thick, truth), agreement_icc(thin, truth)
            rows.append(DwiRow("radiomics", factor, f"ICC of {name}", *agreement))
    share = float(np.mean([row.thin > row.thick for row in rows]))
    return [*rows, DwiRow("radiomics", factor, "share of features that agree better", 0.0, share)]


def places(
    head: Mask, grid: Grid, n: int, rng: np.random.Generator, apart_mm: float
) -> list[Mask]:
    """Return spheres within the head whose centres are some way apart."""
    depth = ndimage.distance_transform_edt(np.pad(head, 1), sampling=grid.spacing_mm)
    deep = np.argwhere(depth[1:-1, 1:-1, 1:-1] >= RADIUS_MM)
    spacing = np.array(grid.spacing_mm)
    centres: list[Array] = []
    for at in rng.permutation(deep):
        if all(np.linalg.norm((at - other) * spacing) >= apart_mm for other in centres):
            centres.append(at)
        if len(centres) == n:
            break
    if len(centres) < 2:
        message = "the head in this series has no room for regions of 24 mm: give a whole brain"
        raise InputError(message)
    axes = np.stack(np.meshgrid(*[np.arange(s) for s in grid.shape], indexing="ij"), axis=-1)
    return [(((axes - at) * spacing) ** 2).sum(axis=-1) <= RADIUS_MM**2 for at in centres]


def table_of(image: Image, regions: list[Mask]) -> Array:
    """Return the features of regions, shape (n_regions, n_features)."""
    return np.array([list(features_of(image, region).values()) for region in regions])
