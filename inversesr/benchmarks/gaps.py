"""How well missing slices are generated: slices are left out of a simulated scan, and filled.

PSNR is that within the slices that were left out, inside the head, with the range of the truth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from inversesr.acquisition.geometry import describe_acquisition
from inversesr.acquisition.missing import filled_volume
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.comparison import read_truth
from inversesr.config import Config
from inversesr.evaluation.metrics import psnr
from inversesr.io.nifti import Scan
from inversesr.volume import Image, Volume
from inversesr.workflows.fill import fill
from inversesr.workflows.fill_choices import FillConfig

# Name -> slices that are left out of n.
GAPS: dict[str, Callable[[int], list[int]]] = {
    "one of four": lambda n: list(range(2, n - 1, 4)),
    "every second": lambda n: list(range(1, n - 1, 2)),
}
GAP_SPLINE = "spline over the gap"
# The head is what is brighter than this share of the range.
HEAD_SHARE = 0.05


@dataclass(frozen=True)
class GapRow:
    """One row: one image, one pattern of missing slices, one solver.

    Attributes:
        image: Name of the image.
        gaps: Name of the pattern.
        solver: Name of the solver.
        psnr_db: Within the missing slices.
        seconds: Wall-clock time.
        covered: Share of the errors within the 90 % interval of the error map; None without one.
    """

    image: str
    gaps: str
    solver: str
    psnr_db: float
    seconds: float
    covered: float | None = None


def measure_gaps(
    truths: Sequence[Path],
    solvers: Sequence[str],
    task: SimulateConfig,
    crop: int | None = None,
    tell: Callable[[GapRow], None] = lambda _row: None,
) -> list[GapRow]:
    """Leave slices out of simulated scans and fill them.

    Args:
        truths: Thin-slice images.
        solvers: Solvers; interpolation over the gap is measured besides.
        task: How the thick slices are made.
        crop: Voxels to keep about the middle along both axes within the slices; None for all.
        tell: Called after each row.
    """
    rows: list[GapRow] = []

    def add(row: GapRow) -> None:
        rows.append(row)
        tell(row)

    for path in truths:
        thick = simulate(read_truth(path, task.axis, crop).volume, task)
        axis = describe_acquisition(Scan.made_here(thick), Config()).slice_axis
        for name, left_out in GAPS.items():
            lost = left_out(thick.grid.shape[axis])
            start = perf_counter()
            baseline = filled_volume(thick, axis, lost).data
            found = within(thick, baseline, axis, lost)
            add(GapRow(path.name, name, GAP_SPLINE, found, perf_counter() - start))
            for solver in solvers:
                add(_filled_row((path.name, name, solver), thick, axis, lost, task))
    return rows


def within(truth: Volume, image: Image, axis: int, lost: Sequence[int]) -> float:
    """Return the PSNR of an image within some slices, inside the head."""
    data_range = float(truth.data.max())
    head = truth.data.take(lost, axis) > HEAD_SHARE * data_range
    return psnr(image.take(lost, axis), truth.data.take(lost, axis), head, data_range)


def _filled_row(
    names: tuple[str, str, str], thick: Volume, axis: int, lost: list[int], task: SimulateConfig
) -> GapRow:
    spoilt = thick.data.copy()
    np.moveaxis(spoilt, axis, 0)[lost] = 0.0
    choices = FillConfig(
        slices=",".join(str(n) for n in lost), solver=names[2], thickness_mm=task.thickness_mm
    )
    start = perf_counter()
    result = fill(Scan.made_here(thick.with_data(spoilt)), choices).result
    seconds = perf_counter() - start
    covered = None
    if "sd" in result.maps:
        error = np.abs(result.volume.data - thick.data).take(lost, axis)
        sd = result.maps["sd"].volume.data.take(lost, axis)
        head = thick.data.take(lost, axis) > HEAD_SHARE * thick.data.max()
        covered = float(np.mean(error[head] <= 1.645 * sd[head]))
    return GapRow(*names, within(thick, result.volume.data, axis, lost), seconds, covered)
