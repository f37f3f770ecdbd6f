"""Never worse than interpolation? Gains over `spline` for many brains, slices and noise levels.

Each solver works through all cases in one process. Spline and solver see the very same slices,
made by the resampling code of `simulate`, not by the solvers' operator.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path

from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.comparison import Setup, read_truth
from inversesr.evaluation.scores import score_volume
from inversesr.io.checks import stem
from inversesr.io.nifti import Scan
from inversesr.solvers.registry import BASELINE_NAME
from inversesr.volume import Volume
from inversesr.workflows.restore import restore
from inversesr.workflows.worker import failure_of, new_process

THICKNESSES_MM = (3.0, 4.0, 5.0, 6.0, 8.0)
PROFILES = ("rect", "gaussian")
NOISE_PERCENT = (0.0, 1.0, 2.0, 3.0)


@dataclass(frozen=True)
class Gain:
    """What a solver gained over spline on one task; None where it failed.

    Attributes:
        image: Name of the image.
        solver: Name of the solver.
        thickness_mm: Slice thickness.
        profile: Slice profile.
        noise_percent: Noise in percent of the brightest intensity.
        axis: Anatomical direction across the slices, R, A or S.
        gain_db: PSNR of the solver less that of spline.
        psnr_db: PSNR of the solver in the foreground of the truth.
        spline_psnr_db: PSNR of spline.
        ssim: SSIM of the solver.
        spline_ssim: SSIM of spline.
        seconds: Wall clock of the solver and data consistency.
        failure: Why there are no figures, in a sentence.
    """

    image: str
    solver: str
    thickness_mm: float
    profile: str
    noise_percent: float
    axis: str = "S"
    gain_db: float | None = None
    psnr_db: float | None = None
    spline_psnr_db: float | None = None
    ssim: float | None = None
    spline_ssim: float | None = None
    seconds: float | None = None
    failure: str = ""

    @property
    def task(self) -> str:
        """The degradation in words."""
        axis = f" along {self.axis}" if self.axis != "S" else ""
        return f"{self.thickness_mm:g} mm {self.profile}{axis} {self.noise_percent:g} %"


@dataclass(frozen=True)
class Cell:
    """Gains of one solver over all images.

    Attributes:
        solver: Name of the solver.
        task: Thickness, profile and noise in words, or "all".
        mean_db: Mean gain; None where every case failed.
        worst_db: Least gain.
        worst_case: Where that was.
        least_ssim_gain: Least gain in SSIM.
        n_cases: Cases that were restored.
        n_failed: Cases that were not.
    """

    solver: str
    task: str
    mean_db: float | None
    worst_db: float | None
    worst_case: str
    least_ssim_gain: float | None
    n_cases: int
    n_failed: int


@dataclass(frozen=True)
class _Case:
    truth: Path
    task: SimulateConfig
    setup: Setup
    blank: Gain


def measure_robustness(
    truths: Sequence[Path],
    tasks: Sequence[SimulateConfig],
    solvers: Sequence[str],
    progress: Callable[[Gain], None],
    setup: Setup,
) -> list[Gain]:
    """Restore every image under every degradation with each solver, and with spline.

    Args:
        truths: Thin-slice images.
        tasks: How each is degraded.
        solvers: Names of solvers; "auto" takes what `run` would take.
        progress: Called with each row as it is done.
        setup: What all share.
    """
    rows = []
    for solver in solvers:
        cases = [_case(path, task, solver, setup) for path, task in product(truths, tasks)]
        for row in _in_one_process(cases):
            rows.append(row)
            progress(row)
    return rows


def _case(path: Path, task: SimulateConfig, solver: str, setup: Setup) -> _Case:
    noise = round(100.0 * task.noise, 6)
    blank = Gain(stem(path), solver, task.thickness_mm, task.profile, noise, task.axis)
    return _Case(path, task, setup, blank)


def _in_one_process(cases: Sequence[_Case]) -> Iterator[Gain]:
    """Work through cases in one process; one that dies is followed by a new one."""
    process = new_process()
    try:
        for case in cases:
            future = process.submit(measure_gain, case)
            failure = failure_of(future)
            yield replace(case.blank, failure=failure) if failure else future.result()
            if failure:
                process.shutdown()
                process = new_process()
    finally:
        process.shutdown(cancel_futures=True)


def measure_gain(case: _Case) -> Gain:
    """Restore one case with its solver and with spline."""
    truth = _truth(case.truth, case.task.axis, case.setup.crop)
    thick = Scan.made_here(simulate(truth, case.task))
    config = case.setup.config(case.blank.solver, case.task, truth.grid)
    result = restore([thick], config)
    found = score_volume(result.volume, truth)
    spline = score_volume(restore([thick], replace(config, solver=BASELINE_NAME)).volume, truth)
    return replace(
        case.blank,
        gain_db=found.psnr_db - spline.psnr_db,
        psnr_db=found.psnr_db,
        spline_psnr_db=spline.psnr_db,
        ssim=found.ssim,
        spline_ssim=spline.ssim,
        seconds=result.seconds["solve"] + result.seconds["consistency"],
    )


@lru_cache(maxsize=1)
def _truth(path: Path, axis: str, crop: int | None) -> Volume:
    """Read an image once for all its degradations."""
    return read_truth(path, axis, crop).volume


def summarise_gains(rows: Sequence[Gain]) -> list[Cell]:
    """Return the mean and the worst gain of each solver, by task and over all tasks."""
    by_cell: dict[tuple[str, str], list[Gain]] = {}
    for row in rows:
        by_cell.setdefault((row.solver, row.task), []).append(row)
    for row in rows:
        by_cell.setdefault((row.solver, "all"), []).append(row)
    return [_cell(solver, task, found) for (solver, task), found in by_cell.items()]


def _cell(solver: str, task: str, rows: Sequence[Gain]) -> Cell:
    gains = [(row.gain_db, row) for row in rows if row.gain_db is not None]
    if not gains:
        return Cell(solver, task, None, None, "", None, 0, len(rows))
    worst_db, worst = min(gains, key=lambda pair: pair[0])
    similar = [
        row.ssim - row.spline_ssim
        for _, row in gains
        if row.ssim is not None and row.spline_ssim is not None
    ]
    where = f"{worst.image}, {worst.task}"
    mean_db = sum(gain for gain, _ in gains) / len(gains)
    n_failed = len(rows) - len(gains)
    return Cell(solver, task, mean_db, worst_db, where, min(similar), len(gains), n_failed)
