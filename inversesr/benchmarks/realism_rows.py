"""Rows of `bench realism`: what an image or a sample is like, and means over images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from inversesr.evaluation.tissue import TISSUES

MEAN = "mean"
# What a row is about.
IMAGE, SAMPLE, DRAWN = "image", "one sample", "one sample as drawn"
# Names of the figures of a row, of which a mean is taken.
FIGURES = (
    "psnr_db", "ssim", "spectral_error_db", "smooth_sd_ratio", "absolute_error", "crps",
    "covered", "factor", *(f"dice_{t}" for t in TISSUES), *(f"volume_{t}" for t in TISSUES),
)  # fmt: skip


@dataclass(frozen=True)
class Realism:
    """One row: an image, or one of the samples; None stands for what is not known.

    Attributes:
        image: Name of the truth, or "mean".
        task: The degradation in words.
        solver: Name of the solver.
        kind: "image", the point estimate, with CRPS and coverage of what is told of its error;
            "one sample"; or "one sample as drawn", before samples were moved apart by the factor
            of the prior's card, with CRPS and coverage of all samples as drawn.
        psnr_db: Against the truth, inside its foreground.
        ssim: Likewise.
        spectral_error_db: Mean absolute difference of the power spectra across the slices, at
            frequencies beyond what the slices can show.
        smooth_sd_ratio: Standard deviation in smooth tissue over that of the truth.
        absolute_error: Mean absolute error inside the foreground, in the truth's intensities.
        crps: Mean continuous ranked probability score of samples (fair), or of a Gaussian where
            the solver tells a deviation only; likewise.
        covered: Share of the truth inside the 90 % interval, 0 to 1.
        factor: By which samples were moved apart.
        n_samples: Samples behind CRPS and coverage.
        dice_fluid: Overlap of the fluid that is found in the image and in the truth, 0 to 1.
        dice_grey: Likewise of grey matter.
        dice_white: Likewise of white matter.
        volume_fluid: Volume of the fluid over that found in the truth.
        volume_grey: Likewise of grey matter.
        volume_white: Likewise of white matter.
    """

    image: str
    task: str
    solver: str
    kind: str = IMAGE
    psnr_db: float | None = None
    ssim: float | None = None
    spectral_error_db: float | None = None
    smooth_sd_ratio: float | None = None
    absolute_error: float | None = None
    crps: float | None = None
    covered: float | None = None
    factor: float | None = None
    n_samples: int | None = None
    dice_fluid: float | None = None
    dice_grey: float | None = None
    dice_white: float | None = None
    volume_fluid: float | None = None
    volume_grey: float | None = None
    volume_white: float | None = None


def mean_rows(rows: Sequence[Realism]) -> list[Realism]:
    """Return the mean over images for each degradation, solver and kind, in the order of rows."""
    groups: dict[tuple[str, str, str], list[Realism]] = {}
    for row in rows:
        groups.setdefault((row.task, row.solver, row.kind), []).append(row)
    return [
        replace(Realism(MEAN, *key, n_samples=found[0].n_samples), **_means(found))
        for key, found in groups.items()
    ]


def _means(rows: Sequence[Realism]) -> dict[str, Any]:
    """Return the mean of each figure; None where it is not known of every row."""
    means: dict[str, Any] = {}
    for name in FIGURES:
        values = [getattr(row, name) for row in rows]
        known = [value for value in values if value is not None]
        means[name] = sum(known) / len(known) if len(known) == len(rows) else None
    return means
