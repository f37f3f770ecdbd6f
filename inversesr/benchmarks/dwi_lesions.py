"""Simulated lesions of two textures in a real series: how well a grade model tells them apart.

Lesions change the diffusion within real anatomy and real noise: they are no tumours.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inversesr.benchmarks import dwi
from inversesr.benchmarks.dwi import DwiRow, Mask, Truth, compare, places, table_of
from inversesr.dwi.grade import auc, held_out_scores
from inversesr.dwi.maps import tissue_mask
from inversesr.workflows.dwi_restore import noise_of

Array = NDArray[np.float64]

N_BOOTSTRAP = 1000
# Size of the grain, mm, of either kind: with 2 and 6 mm thick slices tell them apart as well.
TEXTURES_MM = (2.0, 4.0)
# Deviation and shift of the ADC, mm2/s.
TEXTURE_SD, LESION_SHIFT = 0.3e-3, 0.2e-3


def measure_grades(
    truth: Truth,
    factor: int,
    n_series: int = 6,
    n_lesions: int = 12,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[DwiRow]:
    """Return how well two textures of simulated lesions are told apart.

    Args:
        truth: The series.
        factor: Thin slices a thick one.
        n_series: How often lesions are put into the series, each time in other places.
        n_lesions: Lesions each time, half of each texture.
        progress: Called with the series done and their total.

    Returns:
        Areas under the curve of held-out cases, and what restoring gained over half of what the
        truth gains over thick slices, with an interval by bootstrap over cases.
    """
    tables: list[list[Array]] = [[], [], []]
    grades: list[bool] = []
    for n in range(n_series):
        progress(n, n_series)
        rng = np.random.default_rng(n)
        grown, regions, kinds = with_lesions(truth, n_lesions, rng)
        compared = compare(grown, factor)
        n_slices = compared.head.shape[2]
        regions = [region[..., :n_slices] for region in regions]
        everywhere = np.any(regions, axis=0)
        images = (
            compared.adc_of_thick,
            compared.adc(compared.thin, everywhere),
            compared.adc(compared.truth.series.data, everywhere),
        )
        for table, image in zip(tables, images, strict=True):
            table.append(table_of(image, regions))
        grades += kinds
    progress(n_series, n_series)
    second = np.array(grades)
    scores = [held_out_scores(np.concatenate(table), second) for table in tables]
    return grade_rows(scores, second.astype(np.int64), factor)


def grade_rows(scores: list[Array], y: NDArray[np.int64], factor: int) -> list[DwiRow]:
    """Return areas under the curve and what restoring gained, with intervals.

    Args:
        scores: Held-out scores by thick slices, restored ones and the truth.
        y: 1 for the coarser texture, 0 for the finer.
        factor: Thin slices a thick one.
    """
    thick, thin, true = (auc(s, y) for s in scores)
    rng = np.random.default_rng(0)
    drawn: list[list[float]] = []
    while len(drawn) < N_BOOTSTRAP:
        chosen = rng.integers(0, len(y), len(y))
        if 0 < y[chosen].sum() < len(y):
            drawn.append([auc(s[chosen], y[chosen]) for s in scores])
    sample = np.array(drawn)
    gain = sample[:, 1] - sample[:, 0] - 0.5 * (sample[:, 2] - sample[:, 0])
    low, high = np.quantile(gain, [0.025, 0.975]).tolist()
    plain_low, plain_high = np.quantile(sample[:, 1] - sample[:, 0], [0.025, 0.975]).tolist()
    beyond = thin - thick - 0.5 * (true - thick)
    return [
        DwiRow("grade", factor, f"AUC of {len(y)} lesions", thick, thin, true),
        DwiRow("grade", factor, "AUC gained over thick", 0.0, thin - thick, true - thick,
               plain_low, plain_high),
        DwiRow("grade", factor, "gain beyond half of the truth's", 0.0, beyond, None, low, high),
    ]  # fmt: skip


def with_lesions(
    truth: Truth, n_lesions: int, rng: np.random.Generator
) -> tuple[Truth, list[Mask], list[bool]]:
    """Return a series with lesions, where they are, and which have the coarser texture.

    Both kinds have the same mean and deviation of the ADC; only the size of their grain differs.
    """
    data, grid = truth.series.data, truth.series.scan.volume.grid
    sigma = noise_of(truth.series, truth.gradients, truth.axis)
    head = tissue_mask(data, truth.gradients, sigma)
    regions = places(head, grid, n_lesions, rng, apart_mm=2.0 * dwi.RADIUS_MM)
    change = np.zeros(grid.shape)
    kinds = [bool(n % 2) for n in range(len(regions))]
    for region, kind in zip(regions, kinds, strict=True):
        field = ndimage.gaussian_filter(
            rng.standard_normal(grid.shape), TEXTURES_MM[kind] / np.array(grid.spacing_mm)
        )
        inside = field[region]
        change[region] = LESION_SHIFT + TEXTURE_SD * (inside - inside.mean()) / inside.std()
    b = truth.gradients.bvals[:, None, None, None]
    grown = (data * np.exp(-b * change)).astype(np.float32)
    return replace(truth, series=replace(truth.series, data=grown)), regions, kinds
