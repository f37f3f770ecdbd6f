"""Solvers side by side as one picture: the truth, what each restores, and where each errs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from inversesr.acquisition.simulation import simulate, slice_axis_towards
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.evaluation.scores import onto, score_volume
from inversesr.io.atomic import check_picture
from inversesr.io.nifti import Scan, read_scan
from inversesr.report.figures import Panel, mosaic, write_figure
from inversesr.report.planes import intensity_window
from inversesr.report.prior_pictures import beside_midline_mm
from inversesr.solvers.options import check_settings
from inversesr.volume import Volume
from inversesr.workflows.restore import restore

CORONAL, SAGITTAL = 1, 0
# An error of this share of the window is drawn white.
WORST_SHARE = 0.3
DOTS_PER_INCH = 80


def picture_solvers(
    truth: Path,
    task: SimulateConfig,
    solvers: Sequence[str],
    file: Path,
    settings: Sequence[str] = (),
    progress: Callable[[str, float], None] = lambda _solver, _psnr_db: None,
) -> None:
    """Degrade an image, restore it with each solver, and draw coronal and sagittal planes.

    Args:
        truth: Thin-slice image.
        task: How it is degraded.
        solvers: Names of solvers.
        file: PNG to write.
        settings: Options of the solvers with a prior, such as "solver.n_steps=20".
        progress: Called with each solver and its PSNR in dB.

    Raises:
        InputError: the file is no PNG by its name, its folder does not exist, or there is no such
            option.
    """
    check_picture(file)
    check_settings(settings)
    thin = read_scan(truth).volume
    thick = Scan.made_here(simulate(thin, task))
    spacing_mm = thin.grid.spacing_mm[slice_axis_towards(thin.grid, task.axis)]
    found = {}
    for solver in solvers:
        config = Config(
            solver=solver,
            spacing_mm=spacing_mm,
            thickness_mm=task.thickness_mm,
            profile=task.profile,
            settings=tuple(settings),
        )
        volume = restore([thick], config).volume
        psnr_db = score_volume(volume, thin).psnr_db
        found[f"{solver}, {psnr_db:.2f} dB"] = thin.with_data(onto(volume, thin.grid)[0])
        progress(solver, psnr_db)
    write_figure(draw_side_by_side(thin, found), file, DOTS_PER_INCH)


def draw_side_by_side(truth: Volume, found: dict[str, Volume]) -> object:
    """Draw truth and results, with |result - truth| below each.

    Args:
        truth: What the results should be.
        found: Title -> result on the grid of truth.
    """
    low, high = intensity_window(truth)
    worst = WORST_SHARE * (high - low)
    nothing = truth.with_data(np.zeros_like(truth.data))
    rows = []
    for axis in (CORONAL, SAGITTAL):
        images = [Panel(truth, axis, "truth", low, high)]
        errors = [Panel(nothing, axis, f"error, white: {WORST_SHARE:.0%}", 0.0, worst, "inferno")]
        for title, volume in found.items():
            error = truth.with_data(np.abs(volume.data - truth.data))
            images.append(Panel(volume, axis, title, low, high))
            errors.append(Panel(error, axis, "", 0.0, worst, "inferno"))
        rows += [images, errors]
    return mosaic(rows, beside_midline_mm(truth.grid))
