"""One solver on one thick-slice scan, in a process of its own: figures, or why there are none."""

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter, time

from torch import Tensor

from inversesr.acquisition.foreground import foreground
from inversesr.acquisition.geometry import describe_acquisition, fine_grid, forward_operator
from inversesr.benchmarks.rows import PASSES, Row
from inversesr.config import Config
from inversesr.evaluation.metrics import spectral_error
from inversesr.evaluation.null_space import NullSpaceScore, null_space_score
from inversesr.evaluation.scores import onto, score_volume
from inversesr.io.nifti import Scan, read_scan
from inversesr.resources import peak_memory_bytes
from inversesr.result import Result, Source
from inversesr.solvers.tracing import watching
from inversesr.volume import Volume
from inversesr.workflows.run import run_job
from inversesr.workflows.worker import failure_of, new_process

GIB = 1 << 30


@dataclass(frozen=True)
class Case:
    """What one process has to do.

    Attributes:
        row: What is known before: image, degradation, solver.
        scan: File of the thick slices.
        config: How they are restored.
        truth: File of what they were made from, or None.
        is_traced: Whether the quality on the way is recorded; holds the truth in memory.
    """

    row: Row
    scan: Path
    config: Config
    truth: Path | None = None
    is_traced: bool = False


@dataclass(eq=False)
class Trace:
    """Quality against the solver's seconds; the clock stands still while it scores.

    Attributes:
        score: Image -> quality in dB.
        points: (seconds since the first image, quality) of every image.
        scoring_seconds: Time spent on scoring.
    """

    score: Callable[[Tensor], float]
    points: list[tuple[float, float]] = field(default_factory=list)
    scoring_seconds: float = 0.0
    _start: float | None = None

    def __call__(self, x: Tensor) -> None:
        """Score an image."""
        now = perf_counter()
        self._start = now if self._start is None else self._start
        self.points.append((now - self._start - self.scoring_seconds, self.score(x)))
        self.scoring_seconds += perf_counter() - now


def run_alone(case: Case) -> Row:
    """Run a case in a new process; whatever goes wrong there becomes a row."""
    with new_process() as process:
        future = process.submit(measure, case, time())
        failure = failure_of(future)
    return replace(case.row, failure=failure) if failure else future.result()


def measure(case: Case, started: float) -> Row:
    """Do what `inversesr run` does, and judge the result.

    Args:
        case: What to do.
        started: Time of the epoch at which this process was asked for.
    """
    trace, preparing = _prepare_trace(case)
    watch: AbstractContextManager[None] = nullcontext() if trace is None else watching(trace)
    with tempfile.TemporaryDirectory() as name:
        with watch:
            result, _ = run_job([case.scan], case.config, Path(name))
        done, peak = time(), peak_memory_bytes()
    scoring = 0.0 if trace is None else trace.scoring_seconds
    row = replace(
        _figures_of_result(case.row, result),
        solver_seconds=result.seconds["solve"] - scoring,
        process_seconds=done - started - preparing - scoring,
        peak_gib=peak / GIB,
        trace=() if trace is None else tuple(trace.points),
    )
    return row if case.truth is None else _scored(row, result, read_scan(case.truth).volume)


def _prepare_trace(case: Case) -> tuple[Trace | None, float]:
    """Return what records quality on the way, and the seconds that it took to prepare."""
    if case.truth is None or not case.is_traced:
        return None, 0.0
    start = perf_counter()
    truth = read_scan(case.truth).volume
    trace = Trace(score_against(truth, read_scan(case.scan), case.config))
    return trace, perf_counter() - start


def score_against(truth: Volume, scan: Scan, config: Config) -> NullSpaceScore:
    """Return the null-space score of what a solver would make of a scan."""
    acquisition = describe_acquisition(scan, config)
    grid = scan.volume.grid
    fine = fine_grid(grid, acquisition)
    return null_space_score(forward_operator(grid, fine, acquisition), fine, truth)


def _figures_of_result(row: Row, result: Result) -> Row:
    """Fill in what a result says of itself."""
    source = result.sources[0]
    passes = result.facts.get("passes", {})
    counts = {
        name.replace(" ", "_"): passes.get(name, 0)
        for one in PASSES
        for name in (one, f"{one} backward")
    }
    return replace(
        row,
        **counts,
        n_voxels=result.volume.data.size,
        before_consistency_largest=source.before_consistency.largest_share,
        before_consistency_rms=source.before_consistency.rms / _range_of(source),
        after_consistency_largest=source.agreement.largest_share,
        after_consistency_rms=source.agreement.rms / _range_of(source),
        consistency_seconds=result.seconds["consistency"],
        note=" ".join(result.notes),
    )


def _range_of(source: Source) -> float:
    y = source.scan.volume.data
    return float(y.max() - y.min())


def _scored(row: Row, result: Result, truth: Volume) -> Row:
    """Fill in how close a result is to the truth."""
    import torch

    source, fine = result.sources[0], result.volume.grid
    A = forward_operator(source.scan.volume.grid, fine, source.acquisition)
    scores = score_volume(result.volume, truth)
    unseen = null_space_score(A, fine, truth)(torch.from_numpy(result.volume.data))
    x, _, _ = onto(result.volume, truth.grid)
    axis = source.acquisition.slice_axis
    return replace(
        row,
        psnr_db=scores.psnr_db,
        ssim=scores.ssim,
        nmse=scores.nmse,
        spectral_error_db=spectral_error(x, truth.data, foreground(truth.data), axis),
        null_space_psnr_db=unseen,
    )
