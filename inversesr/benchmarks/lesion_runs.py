"""A head with lesions and without them, thickened and restored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from inversesr.acquisition.foreground import Mask
from inversesr.acquisition.geometry import describe_acquisition, fine_grid, forward_operator
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.lesion_painting import Painted, around, with_lesions
from inversesr.benchmarks.lesion_rows import MASKED, PLAIN, WEIGHED
from inversesr.config import AUTOMATIC, Config
from inversesr.evaluation.scores import onto
from inversesr.io.nifti import Scan
from inversesr.operators.proximal import project
from inversesr.solvers.registry import find
from inversesr.volume import Image, Volume
from inversesr.workflows.restore import restore

# A voxel of the scan belongs to the mask where a lesion fills so much of it that one sees it.
LEAST_FILLED = 0.1
# what an image was made with beside the solver -> the image on the voxels of the truth
Images = dict[str, Image]
SURPRISE = "surprise"


@dataclass(frozen=True, eq=False)
class Subject:
    """A head without lesions, its brain, and scenes of lesions for it.

    Attributes:
        name: Its name.
        task: How it is thickened.
        truth: The head.
        brain: Where its brain is.
        scenes: Lesions that are put in together.
    """

    name: str
    task: SimulateConfig
    truth: Volume
    brain: Mask
    scenes: list[list[Painted]]

    @property
    def task_words(self) -> str:
        """How it is thickened, in words."""
        task = self.task
        gap = f", gap {task.gap_mm:g} mm" if task.gap_mm else ""
        axis = f" along {task.axis}" if task.axis != "S" else ""
        noise = f", {100.0 * task.noise:g} % noise" if task.noise else ""
        return f"{task.thickness_mm:g} mm {task.profile}{gap}{axis}{noise}"

    @cached_property
    def level(self) -> float:
        """Median intensity of the brain."""
        return float(np.median(self.truth.data[self.brain]))

    @cached_property
    def marked(self) -> Mask:
        """All lesions of all scenes, with their surroundings."""
        return around(self.truth.grid.shape, [p for scene in self.scenes for p in scene])

    def thick(self, scene: Sequence[Painted]) -> Scan:
        """Return the slices of the head with some lesions."""
        return Scan.made_here(simulate(with_lesions(self.truth, scene), self.task))


@dataclass(frozen=True, eq=False)
class Seen:
    """One scene as one solver restored it, on the voxels of the truth.

    Attributes:
        subject: The head.
        scene: Its lesions.
        solver: Name of the solver.
        images: With the lesions.
        plain: Without them.
    """

    subject: Subject
    scene: list[Painted]
    solver: str
    images: Images
    plain: Images


def restored(
    subject: Subject, scene: Sequence[Painted], config: Config, *, is_masked: bool
) -> Images:
    """Restore a head with some lesions; by what was used beside the solver, on the truth's voxels.

    Args:
        subject: The head.
        scene: The lesions.
        config: How it is restored.
        is_masked: Whether the prior is also excluded from all lesions of the head.
    """
    thick = subject.thick(scene)
    entry = None if config.solver == AUTOMATIC else find(config.solver)
    mask = None
    if is_masked and (entry is None or entry.has_prior):
        mask = scan_mask(subject)
    # the U-Net gives the image without the mask besides; others do other things before it
    needs_both = mask is None or (entry is not None and entry.is_latent)
    found: Images = {}
    for protect in [mask, None] if mask is not None and needs_both else [mask]:
        result = restore([thick], replace(config, keep_unprotected=True), protect=protect)
        maps = {name: one.volume for name, one in result.maps.items()}
        name = MASKED if protect is not None else WEIGHED if SURPRISE in maps else PLAIN
        wanted = {name: result.volume, PLAIN: maps.get("unprotected", result.volume)}
        if SURPRISE in maps:
            wanted[SURPRISE] = maps[SURPRISE]
        found |= {key: onto(v, subject.truth.grid)[0] for key, v in wanted.items()}
    return found


def scan_mask(subject: Subject) -> Image:
    """Return what a user would mark on the slices: voxels that lesions fill in part."""
    filled = np.zeros(subject.truth.grid.shape, dtype=np.float32)
    for painted in (p for scene in subject.scenes for p in scene):
        filled[painted.box] = np.maximum(filled[painted.box], painted.change != 0.0)
    clean = replace(subject.task, noise=0.0)
    share = simulate(subject.truth.with_data(filled), clean).data
    return (share > LEAST_FILLED).astype(np.float32)


def measured_change(subject: Subject, scene: Sequence[Painted], config: Config) -> Image:
    """Return what of the lesions the slices show: the least image that gives the same slices."""
    grid = simulate(subject.truth, replace(subject.task, noise=0.0)).grid
    scan = Scan.made_here(Volume(np.zeros(grid.shape, dtype=np.float32), grid))
    acquisition = describe_acquisition(scan, config)
    fine = fine_grid(grid, acquisition)
    A = forward_operator(grid, fine, acquisition)
    nothing = Volume(np.zeros_like(subject.truth.data), subject.truth.grid)
    change = onto(with_lesions(nothing, scene), fine)[0]
    T = torch.from_numpy(change)
    unseen = project(A, T, torch.zeros(A.out_shape)).x
    return onto(Volume((T - unseen).numpy(), fine), subject.truth.grid)[0]
