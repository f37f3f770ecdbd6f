"""A truth, its thick slices, and what a solver makes of them, on the voxels of the truth."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from inversesr.acquisition.foreground import Mask, foreground
from inversesr.acquisition.simulation import simulate, slice_axis_towards
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.comparison import Setup, middle_box
from inversesr.errors import InputError
from inversesr.evaluation.scores import onto
from inversesr.evaluation.texture import smooth_tissue
from inversesr.evaluation.tissue import Labels, Mixture, likeliest_mixture, segment
from inversesr.io.nifti import Scan
from inversesr.measurements.consistency import make_consistent
from inversesr.protocols import Solution
from inversesr.solvers.registry import find
from inversesr.volume import Image, Volume
from inversesr.workflows.prepare import Prepared, prepare

N_SAMPLES = 8


@dataclass(frozen=True)
class Study:
    """What all runs share.

    Attributes:
        setup: Options, prior, seed and crop.
        n_samples: Samples of solvers that draw any.

    Raises:
        InputError: fewer than two samples are asked for.
    """

    setup: Setup = field(default_factory=Setup)
    n_samples: int = N_SAMPLES

    def __post_init__(self) -> None:
        if self.n_samples < 2:
            message = f"samples is {self.n_samples}; a spread needs at least 2: give more"
            raise InputError(message)


@dataclass(frozen=True, eq=False)
class Case:
    """One truth under one degradation, and what all images of it are compared with.

    Attributes:
        name: Name of the truth.
        task: How it is degraded.
        truth: The truth.
        scan: Its thick slices.
        brain: Its brain.
        inside: Its foreground.
        mixture: Where segmentations of it and of its restorations begin.
        labels: Tissues found in it.
        smooth: Its smooth tissue.
    """

    name: str
    task: SimulateConfig
    truth: Volume
    scan: Scan
    brain: Mask
    inside: Mask
    mixture: Mixture
    labels: Labels
    smooth: Mask

    @property
    def axis(self) -> int:
        """Axis across the slices."""
        return slice_axis_towards(self.truth.grid, self.task.axis)

    @property
    def words(self) -> str:
        """The degradation in words."""
        noise = f", {100.0 * self.task.noise:g} % noise" if self.task.noise else ""
        along = "" if self.task.axis == "S" else f" along {self.task.axis}"
        return (
            f"{self.task.thickness_mm:g}|{self.task.gap_mm:g} mm {self.task.profile}{along}{noise}"
        )


@dataclass(frozen=True, eq=False)
class Restored:
    """What a solver made of a case, on the voxels of the truth.

    Attributes:
        case: The case.
        solver: Name of the solver.
        x: The image.
        sd: Its deviation, or None.
        samples: Samples, shape (n, *x.shape), moved apart by `factor`; None where none are drawn.
        factor: By which samples were moved apart.
    """

    case: Case
    solver: str
    x: Image
    sd: Image | None = None
    samples: Image | None = None
    factor: float = 1.0

    @property
    def n_behind(self) -> float:
        """Samples behind the deviation; infinite where it is no sample's."""
        return math.inf if self.samples is None else float(len(self.samples))


def make_case(
    name: str, whole: Volume, brain: Mask, task: SimulateConfig, crop: int | None
) -> Case:
    """Degrade an image, and find in it what results are compared with.

    Args:
        name: Its name.
        whole: The image.
        brain: Its brain.
        task: How it is degraded.
        crop: Voxels to keep about the middle along the axes within the slices; None for all.
    """
    box = middle_box(whole.grid, slice_axis_towards(whole.grid, task.axis), crop)
    truth = whole.cropped(box)
    mixture = likeliest_mixture(truth.data, brain[box])
    labels = segment(truth.data, brain[box], mixture)
    return Case(
        name,
        task,
        truth,
        Scan.made_here(simulate(truth, task)),
        brain[box],
        foreground(truth.data),
        mixture,
        labels,
        smooth_tissue(labels, truth.data),
    )


def restore_case(case: Case, solver: str, study: Study) -> Restored:
    """Restore a case, and bring all images onto the voxels of the truth.

    Args:
        case: The case.
        solver: Name of the solver.
        study: What all runs share.
    """
    config = study.setup.config(solver, case.task, case.truth.grid)
    if find(solver).draws_samples:
        config = replace(config, samples=study.n_samples)
    ready = prepare(case.scan, config)
    solution = ready.solve(lambda _phase, _done, _total: None)
    x = _consistent(ready, solution)

    def on_truth(image: torch.Tensor) -> Image:
        volume = Volume(image.float().numpy(), ready.task.fine)
        return np.asarray(onto(volume, case.truth.grid)[0], dtype=np.float32)

    samples = solution.samples
    if samples is None:
        sd = None if solution.sd is None else on_truth(solution.sd)
        return Restored(case, solver, on_truth(x), sd)
    return Restored(
        case,
        solver,
        on_truth(x),
        on_truth(samples.std(dim=0)),
        np.stack([on_truth(sample) for sample in samples]),
        float(solution.facts.get("sd_factor", 1.0)),
    )


def _consistent(ready: Prepared, solution: Solution) -> torch.Tensor:
    """Return the image of a solution as a run would write it."""
    if ready.setup.consistency == "off":
        return solution.x
    task = ready.task
    sigma = task.sigma if ready.setup.consistency == "noise" else 0.0
    return make_consistent(task.A, solution.x, task.y, sigma)
