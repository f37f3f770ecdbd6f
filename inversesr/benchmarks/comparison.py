"""Solvers side by side: quality, seconds, passes and peak memory, each in a process of its own."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inversesr.acquisition.simulation import slice_axis_towards
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.case import Case, run_alone
from inversesr.benchmarks.rows import Row, with_time_to_quality
from inversesr.config import AUTOMATIC, BUILTIN_PRIOR, Config
from inversesr.errors import InputError
from inversesr.io.checks import stem
from inversesr.io.nifti import Scan, read_scan, write_volume
from inversesr.priors.card import PriorCard, read_card
from inversesr.priors.store import find_prior
from inversesr.solvers.registry import entries
from inversesr.volume import Grid, Volume
from inversesr.workflows.files import simulate_file

# A routine clinical scan, its halves and its double.
SCALING_SHAPES = ((128, 112, 26), (256, 112, 26), (256, 224, 26), (256, 224, 52))
SCALING_SPACING_MM = (0.9, 0.9, 5.5)
# Less leaves a network nothing to look at.
SMALLEST_CROP = 16


@dataclass(frozen=True)
class Setup:
    """What all solvers of a comparison share.

    Attributes:
        settings: Options of the solvers, such as "solver.n_steps=20".
        prior: Name or folder of the prior.
        seed: Seed of noise and solvers.
        crop: Voxels to keep about the middle along both axes within the slices; None for all.
        is_traced: Whether to record when each solver has the final quality of the reference.
        misstated: By how much the thickness that solvers are told is wrong, as a share of it;
            the distance between slices is told as it is.

    Raises:
        InputError: the crop is too small, or the thickness would be none.
    """

    settings: tuple[str, ...] = ()
    prior: str = AUTOMATIC
    seed: int = 0
    crop: int | None = None
    is_traced: bool = False
    misstated: float = 0.0

    def __post_init__(self) -> None:
        if self.crop is not None and self.crop < SMALLEST_CROP:
            message = f"crop is {self.crop}; expected at least {SMALLEST_CROP} voxels"
            raise InputError(message)
        if not -1.0 < self.misstated <= 1.0:
            percent = 100.0 * self.misstated
            message = f"misstated is {percent:g} percent; expected more than -100, at most 100"
            raise InputError(message)

    def config(self, solver: str, task: SimulateConfig, truth: Grid) -> Config:
        """Return how thick slices are restored; the voxels are those of the truth.

        Nothing has to be interpolated to be scored.
        """
        error_mm = self.misstated * task.thickness_mm
        # a crop is no whole brain
        is_part = self.crop is not None and self.prior == AUTOMATIC
        return Config(
            solver=solver,
            prior=BUILTIN_PRIOR if is_part else self.prior,
            settings=self.settings,
            spacing_mm=truth.spacing_mm[slice_axis_towards(truth, task.axis)],
            thickness_mm=task.thickness_mm + error_mm,
            gap_mm=task.gap_mm - error_mm,
            profile=task.profile,
            seed=self.seed,
        )


def compare_solvers(
    truths: Iterable[Path],
    tasks: Sequence[SimulateConfig],
    solvers: Sequence[str],
    progress: Callable[[Row], None],
    setup: Setup | None = None,
) -> list[Row]:
    """Degrade images, restore them with each solver, and score the results.

    Args:
        truths: Thin-slice images.
        tasks: How each is degraded.
        solvers: Names of solvers.
        progress: Called with each row as it is done.
        setup: What all solvers share; None for the defaults.

    Returns:
        A row for each image, task and solver; a solver that failed has the reason in its row.
    """
    setup, rows = setup or Setup(), []
    for truth_path in truths:
        for task in tasks:
            with tempfile.TemporaryDirectory() as name:
                thin, thick = Path(name) / "thin.nii.gz", Path(name) / "thick.nii.gz"
                truth = read_truth(truth_path, task.axis, setup.crop)
                write_volume(thin, truth.volume, truth)
                simulate_file(thin, thick, task)
                for solver in solvers:
                    config = setup.config(solver, task, truth.volume.grid)
                    known = blank_row(stem(truth_path), solver, task)
                    case = Case(known, thick, config, thin, setup.is_traced)
                    rows.append(run_alone(case))
                    progress(rows[-1])
    return with_time_to_quality(rows) if setup.is_traced else rows


def blank_row(image: str, solver: str, task: SimulateConfig) -> Row:
    """Return what is known of a run beforehand."""
    noise = 100.0 * task.noise
    return Row(image, solver, task.thickness_mm, task.gap_mm, task.profile, noise, task.axis)


def read_truth(path: Path, axis: str, crop: int | None) -> Scan:
    """Read a thin-slice image, cropped about its middle within the slices.

    Args:
        path: Its file.
        axis: Anatomical direction across the slices, "R", "A" or "S".
        crop: Voxels to keep along each of the other two axes; None for all.
    """
    scan = read_scan(path)
    if crop is None:
        return scan
    grid = scan.volume.grid
    return Scan.made_here(
        scan.volume.cropped(middle_box(grid, slice_axis_towards(grid, axis), crop))
    )


def middle_box(grid: Grid, axis: int, crop: int | None) -> tuple[slice, slice, slice]:
    """Return the voxels about the middle of the slices.

    Args:
        grid: Voxels of the image.
        axis: Axis across the slices, which is kept whole.
        crop: Voxels to keep along each of the other two axes; None for all.
    """
    box = [slice(0, n) for n in grid.shape]
    for other in {0, 1, 2} - {axis}:
        n = min(crop or grid.shape[other], grid.shape[other])
        start = (grid.shape[other] - n) // 2
        box[other] = slice(start, start + n)
    return box[0], box[1], box[2]


def runnable_solvers(prior: str = AUTOMATIC) -> list[str]:
    """Return the solvers that a prior has all networks for, and those that need none.

    Raises:
        InputError: there is no such prior.
    """

    def card_of(solver: str) -> PriorCard:
        return read_card(find_prior(Config(solver=solver, prior=prior).prior))

    return [e.name for e in entries() if not e.has_prior or e.is_served_by(card_of(e.name))]


def measure_scaling(
    solvers: Sequence[str], progress: Callable[[Row], None], setup: Setup | None = None
) -> list[Row]:
    """Time each solver on scans of growing size.

    Args:
        solvers: Names of solvers.
        progress: Called with each row as it is done.
        setup: What all solvers share; nothing is cropped.
    """
    setup, rows = setup or Setup(), []
    for shape in SCALING_SHAPES:
        with tempfile.TemporaryDirectory() as name:
            thick = Path(name) / "thick.nii.gz"
            _write_phantom(thick, shape)
            label = "phantom " + " x ".join(str(n) for n in shape)
            for solver in solvers:
                config = Config(
                    solver=solver, prior=setup.prior, settings=setup.settings, seed=setup.seed
                )
                rows.append(run_alone(Case(Row(label, solver), thick, config)))
                progress(rows[-1])
    return rows


def _write_phantom(path: Path, shape: tuple[int, int, int]) -> None:
    """Write nested ellipsoids with noise: edges at every angle, and something to denoise."""
    ranges = [np.linspace(-1.0, 1.0, n, dtype=np.float32) for n in shape]
    radius = np.sqrt(sum(np.square(r) for r in np.meshgrid(*ranges, indexing="ij", sparse=True)))
    noise = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    data = 100.0 * (radius < 0.9) + 60.0 * (radius < 0.6) - 80.0 * (radius < 0.2) + 2.0 * noise
    grid = Grid(shape, np.diag([*SCALING_SPACING_MM, 1.0]))
    volume = Volume(np.abs(data).astype(np.float32), grid)
    write_volume(path, volume, Scan.made_here(volume))
