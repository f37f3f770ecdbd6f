"""Are scans of adults told from other images by what a mean brain explains of them?

Images of adults are judged as they are, and as slices of 4, 6 and 8 mm along each axis; other
images as they are. The area under the ROC curve is the probability that an adult's scan fits
better than another image.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy.stats import mannwhitneyu

from inversesr.acquisition.anatomy import LEAST_FIT, LEAST_SIZE, anatomy_of
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.io.checks import stem
from inversesr.io.nifti import read_scan
from inversesr.volume import Volume

ADULT, OTHER = "adult", "other"
SLICES = (("R", 4.0), ("A", 6.0), ("S", 8.0))


@dataclass(frozen=True)
class AnatomyRow:
    """One row: one image, as it is or as thick slices.

    Attributes:
        image: Name of the image.
        kind: "adult" or "other".
        slices: "as it is", or thickness and direction.
        fit: Share of the contrast that tissues of the mean brain explain; None: not judged.
        size: Length of the brain over that of the mean brain; None: not judged.
        is_strange: Whether `run` would not use the prior.
        seconds: Wall clock.
    """

    image: str
    kind: str
    slices: str
    fit: float | None
    size: float | None
    is_strange: bool
    seconds: float


def measure_anatomy(
    adults: Iterable[Path], others: Iterable[Path], tell: Callable[[AnatomyRow], None]
) -> list[AnatomyRow]:
    """Judge images of adults and others.

    Args:
        adults: Images of heads or brains of adults.
        others: Other images.
        tell: Called with each row as it is done.

    Raises:
        InputError: an image cannot be read.
    """
    rows: list[AnatomyRow] = []
    for path in adults:
        image = read_scan(path).volume
        for words, volume in [("as it is", image), *thickened(image)]:
            rows.append(judged(volume, stem(path), ADULT, words))
            tell(rows[-1])
    for path in others:
        rows.append(judged(read_scan(path).volume, stem(path), OTHER, "as it is"))
        tell(rows[-1])
    return rows


def thickened(image: Volume) -> list[tuple[str, Volume]]:
    """Return an image as thick slices along each axis, with words for each."""
    return [
        (f"{mm:g} mm {axis}", simulate(image, SimulateConfig(thickness_mm=mm, axis=axis)))
        for axis, mm in SLICES
    ]


def judged(volume: Volume, name: str, kind: str, words: str) -> AnatomyRow:
    """Return the row of an image."""
    start = perf_counter()
    found = anatomy_of(volume)
    seconds = perf_counter() - start
    if found is None:
        return AnatomyRow(name, kind, words, None, None, is_strange=False, seconds=seconds)
    is_strange = found.fit < LEAST_FIT or found.size < LEAST_SIZE
    return AnatomyRow(name, kind, words, found.fit, found.size, is_strange, seconds)


def area_under_curve(rows: Sequence[AnatomyRow]) -> float | None:
    """Return the area under the ROC curve of the fit; None where one of the kinds is missing.

    A brain that is smaller than any adult's counts as one that does not fit.
    """
    scores = {
        kind: [
            row.fit if row.size >= LEAST_SIZE else 0.0
            for row in rows
            if row.kind == kind and row.fit is not None and row.size is not None
        ]
        for kind in (ADULT, OTHER)
    }
    if not all(scores.values()):
        return None
    wins = mannwhitneyu(scores[ADULT], scores[OTHER]).statistic
    return float(wins / np.prod([len(found) for found in scores.values()]))
