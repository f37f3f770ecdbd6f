"""Methods of reconstruction side by side on simulated k-space of known images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from time import perf_counter

import numpy as np

from inversesr.acquisition.kspace_choices import KSpaceSimulation
from inversesr.acquisition.kspace_simulation import Simulated, simulate_kspace
from inversesr.evaluation.metrics import psnr, ssim
from inversesr.io.checks import stem
from inversesr.io.nifti import read_scan
from inversesr.io.paths import from_home
from inversesr.measurements.kspace import KSpaceMeasurement, measure_kspace
from inversesr.priors.installed import OpenPrior, open_prior
from inversesr.solvers.kspace.protocol import Request
from inversesr.solvers.kspace.registry import method_of, options_of
from inversesr.volume import Grid, Volume
from inversesr.workflows.kspace_simulation import slices_of

BRIGHT_PERCENTILE = 99.9
# Air about the head, and what sides are multiples of, in voxels.
MARGIN, MULTIPLE = 8, 16
# More than the window of SSIM is deep.
SSIM_SLICES = 13


@dataclass(frozen=True)
class KSpaceTasks:
    """What is simulated: every combination of these.

    Attributes:
        masks: Kinds of mask.
        accelerations: Samples of all k-space to one that is taken.
        noises: Noise of each part of a sample, as shares of the brightest intensity.
        scanner: All other choices of the scanner.
    """

    masks: tuple[str, ...] = ("variable", "poisson")
    accelerations: tuple[float, ...] = (4.0, 8.0)
    noises: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1)
    scanner: KSpaceSimulation = field(default_factory=lambda: KSpaceSimulation(calibration=12))

    def scans(self) -> list[KSpaceSimulation]:
        """Return the combinations."""
        combinations = product(self.masks, self.accelerations, self.noises)
        return [
            replace(self.scanner, mask=mask, acceleration=acceleration, noise=noise)
            for mask, acceleration, noise in combinations
        ]


@dataclass(frozen=True)
class KSpaceRow:
    """What one method gave.

    Attributes:
        image: Name of the image.
        mask: Kind of mask.
        acceleration: As it was asked for.
        noise_percent: Noise in percent of the brightest intensity.
        method: Name of the method, with its settings.
        psnr_db: Of the magnitude, inside the head, against the bright end of the truth.
        ssim: Likewise.
        seconds: Wall clock of the method alone.
    """

    image: str
    mask: str
    acceleration: float
    noise_percent: float
    method: str
    psnr_db: float
    ssim: float
    seconds: float


def compare_kspace(
    truths: Sequence[Path],
    tasks: KSpaceTasks,
    methods: Sequence[str],
    prior: str,
    tell: Callable[[KSpaceRow], None] = lambda _row: None,
) -> list[KSpaceRow]:
    """Reconstruct simulated k-space of images by several methods.

    Coil maps are found from the data; the noise is the true one, for all methods alike.

    Args:
        truths: Thin-slice images.
        tasks: What is simulated.
        methods: Names, each with settings of its own behind commas, such as
            "diffusion,solver.consistency=plain".
        prior: Name or folder of a prior, for the methods that need one.
        tell: Called with every row.

    Raises:
        InputError: an image, a method or the prior is unusable.
    """
    chosen = [parsed(method) for method in methods]
    opened = open_prior(prior) if any(method_of(name).role for name, _ in chosen) else None
    rows = []
    for path in truths:
        volume = padded(slices_of(read_scan(from_home(path)).volume, tasks.scanner))
        for scanner in tasks.scans():
            made = simulate_kspace(volume, scanner)
            measurement = measure_kspace(made.kspace, noise=made.sigma)
            for name, settings in chosen:
                scores = score(made, measurement, name, settings, opened)
                label = ",".join((name, *settings))
                row = KSpaceRow(
                    stem(path),
                    scanner.mask,
                    scanner.acceleration,
                    100.0 * scanner.noise,
                    label,
                    *scores,
                )
                tell(row)
                rows.append(row)
    return rows


def parsed(method: str) -> tuple[str, tuple[str, ...]]:
    """Return name and settings of a method; both are checked.

    Raises:
        InputError: there is no such method or setting.
    """
    name, *settings = method.split(",")
    options_of(name, tuple(settings))
    return name, tuple(settings)


def score(
    made: Simulated,
    measurement: KSpaceMeasurement,
    name: str,
    settings: tuple[str, ...],
    prior: OpenPrior | None,
) -> tuple[float, float, float]:
    """Return PSNR in dB, SSIM and seconds of a method."""
    request = Request(options_of(name, settings), prior)
    begin = perf_counter()
    found = method_of(name).reconstruct(measurement, request)
    seconds = perf_counter() - begin
    x = (found.x * measurement.scale).abs().numpy().astype(np.float32)
    truth = made.truth.abs().numpy().astype(np.float32)
    inside = truth > 0
    bright = float(np.percentile(truth[inside], BRIGHT_PERCENTILE))
    # similarity wants three dimensions: a lone slice stands for its neighbours
    n = SSIM_SLICES if x.shape[2] < SSIM_SLICES else 1
    deep_x, deep_truth = np.repeat(x, n, axis=2), np.repeat(truth, n, axis=2)
    similarity = ssim(deep_x, deep_truth, np.repeat(inside, n, axis=2), bright)
    return psnr(x, truth, inside, bright), similarity, seconds


def padded(volume: Volume) -> Volume:
    """Put air about slices, so that their sides are multiples."""
    before, after = [0, 0, 0], [0, 0, 0]
    for axis in range(2):
        n = volume.data.shape[axis]
        more = -(-(n + 2 * MARGIN) // MULTIPLE) * MULTIPLE - n
        before[axis], after[axis] = more // 2, more - more // 2
    data = np.pad(volume.data, list(zip(before, after, strict=True)))
    affine = volume.grid.affine.copy()
    affine[:3, 3] -= affine[:3, :3] @ np.asarray(before)
    x, y, z = data.shape
    return Volume(np.ascontiguousarray(data), Grid((x, y, z), affine))


def mean_table(rows: Sequence[KSpaceRow]) -> list[tuple[str, float, float, dict[str, float]]]:
    """Return the mean PSNR over images: mask, acceleration, noise, and dB by method."""
    table: dict[tuple[str, float, float], dict[str, list[float]]] = {}
    for row in rows:
        place = table.setdefault((row.mask, row.acceleration, row.noise_percent), {})
        place.setdefault(row.method, []).append(row.psnr_db)
    return [
        (*task, {method: float(np.mean(values)) for method, values in found.items()})
        for task, found in table.items()
    ]
