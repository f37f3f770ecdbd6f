"""Is a restored image realistic and of use? Spectrum, grain, probability scores and tissues.

An image of least expected error is smoother than any brain, and PSNR rewards it for that. What
is measured besides: power beyond what slices can show, grain in smooth tissue, how well samples
predict the truth (CRPS, coverage), and whether a segmentation finds the tissues of the truth.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from inversesr.acquisition.brain_mask import brain_mask
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.realism_case import Restored, Study, make_case, restore_case
from inversesr.benchmarks.realism_rows import DRAWN, IMAGE, SAMPLE, Realism, mean_rows
from inversesr.evaluation.metrics import unseen_spectral_error
from inversesr.evaluation.scores import score_volume
from inversesr.evaluation.texture import deviation_ratio
from inversesr.evaluation.tissue import agreement, segment
from inversesr.io.checks import stem
from inversesr.io.nifti import read_scan
from inversesr.uncertainty.coverage import (
    FITTED_LEVEL,
    coverage,
    crps,
    ensemble_crps,
    errors_inside,
)
from inversesr.volume import Image


def measure_realism(
    truths: Iterable[Path],
    tasks: Sequence[SimulateConfig],
    solvers: Sequence[str],
    progress: Callable[[Realism], None] = lambda _row: None,
    study: Study | None = None,
    look: Callable[[Restored], None] = lambda _restored: None,
) -> list[Realism]:
    """Degrade images, restore them, and judge images and samples.

    Args:
        truths: Thin-slice T1-weighted images.
        tasks: How each is degraded.
        solvers: Names of solvers.
        progress: Called with each row as it is done.
        study: What all runs share; None for the defaults.
        look: Called with what each solver made of each case.

    Returns:
        Rows of images and samples; and, of several truths, their means.

    Raises:
        InputError: a scan cannot be restored, or a brain is not found.
    """
    study, rows, paths = study or Study(), [], list(truths)
    for path in paths:
        whole = read_scan(path).volume
        brain = brain_mask(whole)
        for task in tasks:
            case = make_case(stem(path), whole, brain, task, study.setup.crop)
            for solver in solvers:
                restored = restore_case(case, solver, study)
                look(restored)
                for row in judge(restored):
                    rows.append(row)
                    progress(row)
    means = mean_rows(rows) if len(paths) > 1 else []
    for row in means:
        progress(row)
    return [*rows, *means]


def judge(restored: Restored) -> list[Realism]:
    """Return the row of the image, and those of the first sample.

    Args:
        restored: What a solver made of a case.
    """
    image = _row(restored, IMAGE, restored.x)
    if restored.sd is not None:
        image = _with_scores(image, restored, restored.sd, restored.samples)
    if restored.samples is None:
        return [image]
    rows = [image, _row(restored, SAMPLE, restored.samples[0])]
    if restored.factor != 1.0:
        middle = restored.samples.mean(axis=0)
        drawn = middle + (restored.samples - middle) / np.float32(restored.factor)
        row = _row(restored, DRAWN, drawn[0])
        rows.append(_with_scores(row, restored, drawn.std(axis=0, ddof=1), drawn))
    return rows


def _row(restored: Restored, kind: str, x: Image) -> Realism:
    """Fill in all that needs one image only."""
    case = restored.case
    scores = score_volume(case.truth.with_data(x), case.truth)
    distance = (case.task.thickness_mm + case.task.gap_mm) / case.truth.grid.spacing_mm[case.axis]
    found = agreement(segment(x, case.brain, case.mixture), case.labels)
    inside = case.inside
    return Realism(
        case.name,
        case.words,
        restored.solver,
        kind,
        psnr_db=scores.psnr_db,
        ssim=scores.ssim,
        spectral_error_db=unseen_spectral_error(x, case.truth.data, inside, case.axis, distance),
        smooth_sd_ratio=deviation_ratio(x, case.truth.data, case.smooth),
        absolute_error=float(np.mean(np.abs(x - case.truth.data)[inside], dtype=np.float64)),
        dice_fluid=found.dice["fluid"],
        dice_grey=found.dice["grey"],
        dice_white=found.dice["white"],
        volume_fluid=found.volume["fluid"],
        volume_grey=found.volume["grey"],
        volume_white=found.volume["white"],
    )


def _with_scores(row: Realism, restored: Restored, sd: Image, samples: Image | None) -> Realism:
    """Fill in how well the error was foretold, about the image."""
    case, truth = restored.case, restored.case.truth.data
    errors = errors_inside(restored.x, sd, truth, case.inside, restored.n_behind)
    if samples is None:
        return replace(row, crps=crps(errors), covered=coverage(errors, FITTED_LEVEL))
    return replace(
        row,
        crps=ensemble_crps(samples[:, case.inside], truth[case.inside]),
        covered=coverage(errors, FITTED_LEVEL),
        factor=1.0 if row.kind == DRAWN else restored.factor,
        n_samples=len(samples),
    )
