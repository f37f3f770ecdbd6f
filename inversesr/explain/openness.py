"""What a scan leaves open: directions of the denoiser's bottleneck, in pictures and numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from inversesr.explain.bottleneck import LONGEST_SIDE, Block, Box, Opened, make_block
from inversesr.explain.directions import (
    Direction,
    chance_degrees,
    coefficients,
    draw,
    measure,
    principal_activations,
    principal_directions,
    shifted,
    subspace_degrees,
)
from inversesr.explain.naming import LABELS, Effect, effects, name_of
from inversesr.explain.numbers import Ruler, make_ruler
from inversesr.explain.regions import Labels, Mask, depth_mm
from inversesr.measurements.slices import Task
from inversesr.priors.networks.conditional_denoiser import ConditionalDenoiser
from inversesr.volume import Image

N_DIRECTIONS = 4
N_SAMPLES = 8
# Shown are the image itself and shifts by so many standard deviations of the samples.
FACTORS = (-2.0, 2.0)
# A part that holds this share of the brain is all of it.
LEAST_WHOLE = 0.99

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class OpenDirection:
    """One direction along which the image can change while the scan stays the same.

    Attributes:
        name: What changes along it, or "direction N".
        reason: Why it bears that name, or none, in a sentence.
        low: The image at -2 standard deviations, consistent with the scan, within `view`.
        high: The image at +2 standard deviations.
        effects: Name of a number -> what becomes of it.
        explained: Share of the samples' variance that lies along it.
        misfit_share: Largest change of A x, over the range of the scan.
        by_label: Structure -> energy of the change there, over what an even spread would put
            there; empty without a label map.
    """

    name: str
    reason: str
    low: Image
    high: Image
    effects: dict[str, Effect]
    explained: float
    misfit_share: float
    by_label: dict[str, float]


@dataclass(frozen=True, eq=False)
class Openness:
    """What a scan leaves open.

    Attributes:
        directions: The directions, that which changes the image most first.
        view: Part of the fine grid that can change.
        likely: Two images that are likely too, consistent with the scan, within `view`.
        sd: Standard deviation over the samples there.
        numbers_sd: Name of a number -> its value in the image, and its deviation over samples.
        box_mm: Sides of the part of the head that was looked at.
        is_whole: Whether that part is the whole brain.
        n_samples: Posterior samples that the deviations are of.
        agreement: Angles between the directions and the principal components of bottlenecks of
            samples, in degrees, the smallest first.
        by_chance: The smallest angle between two subspaces of such a size by chance.
    """

    directions: tuple[OpenDirection, ...]
    view: Box
    likely: tuple[Image, Image]
    sd: Image
    numbers_sd: dict[str, tuple[float, float]]
    box_mm: tuple[float, float, float]
    is_whole: bool
    n_samples: int
    agreement: tuple[float, ...]
    by_chance: float


@dataclass(frozen=True, eq=False)
class Subject:
    """What is looked at.

    Attributes:
        task: The scan, its air at zero.
        x: The restored image, on the fine grid, in the intensities of the scan.
        brain: The brain on the fine grid.
        labels: Label map on the fine grid, or None.
        is_fluid_bright: Whether fluid is bright, as in T2-weighted images.
        air: Intensity of air in x.
    """

    task: Task
    x: torch.Tensor
    brain: Mask
    labels: Labels | None = None
    is_fluid_bright: bool = False
    air: float = 0.0


def find_openness(
    subject: Subject,
    net: ConditionalDenoiser,
    seed: int,
    progress: Progress = lambda _phase, _done, _total: None,
    longest: int = LONGEST_SIDE,
) -> Openness:
    """Find what a scan leaves open.

    Args:
        subject: The scan, and what was made of it.
        net: The denoiser.
        seed: Seed of the samples.
        progress: Called with a phase, the steps done and their total.
        longest: Longest side of the part of the head that is looked at, in voxels.
    """
    task, brain = subject.task, torch.from_numpy(subject.brain).to(subject.x)
    block = make_block(task, brain, longest)
    opened, generator = Opened(net, block), torch.Generator().manual_seed(seed)
    # at the faces of a block the network sees an end where there is none
    weight = block.inside(brain)
    searched = weight * block.interior()
    draws = draw(opened, N_SAMPLES, generator, lambda n, of: progress("posterior samples", n, of))
    shifts = principal_directions(
        draws.base, searched, N_DIRECTIONS, generator, lambda n, of: progress("directions", n, of)
    )
    activations = principal_activations(draws.bottlenecks, N_DIRECTIONS)
    found = measure(draws, shifts, weight)
    gauge = make_gauge(subject, block)
    centred = draws.residuals - draws.residuals.mean(dim=0)
    samples = [gauge.numbers(block.white * block.placed(r)) for r in centred]
    directions = []
    for number, direction in enumerate(found, start=1):
        changes = shifted(draws.base, direction, FACTORS)
        along = coefficients(weight * centred, weight * direction.change).tolist()
        directions.append(gauge.describe(number, direction, changes, (samples, along)))
        progress("pictures", number, len(found))
    return Openness(
        tuple(directions),
        gauge.view,
        gauge.likely(centred),
        (block.white * block.placed(centred.std(dim=0))[gauge.view]).numpy(),
        {name: (e.mean, e.sd) for name, e in directions[0].effects.items()},
        _box_mm(block),
        float(weight.sum()) * math.prod(_group(block)) >= LEAST_WHOLE * float(brain.sum()),
        N_SAMPLES,
        tuple(subspace_degrees(shifts.flatten(1), activations)),
        chance_degrees(N_DIRECTIONS, shifts[0].numel()),
    )


@dataclass(frozen=True, eq=False)
class Gauge:
    """Turns changes of a block into images of the head and their numbers.

    Attributes:
        subject: What is looked at.
        block: The part that changes.
        view: Part of the fine grid that can change.
        ruler: What numbers are taken by there.
    """

    subject: Subject
    block: Block
    view: Box
    ruler: Ruler

    def numbers(self, change: torch.Tensor) -> dict[str, float]:
        """Return the numbers of the restored image with a change, shape of the fine grid."""
        subject = self.subject
        return self.ruler.numbers((subject.x + change)[self.view] - subject.air)

    def likely(self, centred: torch.Tensor) -> tuple[Image, Image]:
        """Return the first two samples about the image, within `view`."""
        x = self.subject.x
        first, second = ((x + self.block.in_scan(r))[self.view].numpy() for r in centred[:2])
        return first, second

    def describe(
        self,
        number: int,
        direction: Direction,
        changes: torch.Tensor,
        samples: tuple[list[dict[str, float]], list[float]],
    ) -> OpenDirection:
        """Describe one direction.

        Args:
            number: Its number.
            direction: The direction.
            changes: What changes at -2 and at +2 standard deviations, on the block.
            samples: Numbers of each sample, and how far each lies along the direction.
        """
        task, x = self.subject.task, self.subject.x[self.view]
        low, high = (self.block.in_scan(change) for change in changes)
        strip = [self.numbers(change) for change in (low, torch.zeros_like(low), high)]
        found = effects(strip, *samples)
        by_number = enrichment(high - low, self.subject.brain, self.subject.labels)
        name, reason = name_of(found, by_number)
        misfit = max(float(task.A(change).abs().max()) for change in (low, high))
        width = float(task.y.max() - task.y.min()) or 1.0
        return OpenDirection(
            name or f"direction {number}",
            reason,
            (x + low[self.view]).numpy(),
            (x + high[self.view]).numpy(),
            found,
            direction.explained,
            misfit / width,
            by_number,
        )


def enrichment(change: torch.Tensor, brain: Mask, labels: Labels | None) -> dict[str, float]:
    """Return how much more of a change lies at structures than an even spread would put there.

    Args:
        change: The change on the fine grid.
        brain: The brain there.
        labels: Label map there, of FreeSurfer's labels; None gives nothing.
    """
    if labels is None:
        return {}
    energy: NDArray[np.float64] = np.where(brain, change.numpy().astype(np.float64) ** 2, 0.0)
    touched = energy > 0.0
    found = {}
    for name, members in LABELS.items():
        inside = near_structure(labels, members) & touched
        if inside.any():
            found[name] = float(energy[inside].mean() / energy[touched].mean())
    return found


def near_structure(labels: Labels, members: tuple[int, ...]) -> Mask:
    """Return the voxels of a structure and those that touch it."""
    inside = np.isin(labels, members)
    return np.asarray(ndimage.binary_dilation(inside), dtype=np.bool_)


def make_gauge(subject: Subject, block: Block) -> Gauge:
    """Return what measures the part of the brain that can change."""
    fine = subject.task.fine
    reached = (block.placed(torch.ones_like(block.start)) > 0.5).numpy()
    sides = ndimage.find_objects(reached.astype(np.int8))[0]
    view = (sides[0], sides[1], sides[2])
    brain, depth = (
        torch.from_numpy(np.ascontiguousarray(image[view])).to(subject.x)
        for image in (subject.brain & reached, depth_mm(subject.brain, fine))
    )
    ruler = make_ruler(
        subject.x[view] - subject.air,
        brain,
        depth,
        fine.spacing_mm,
        is_fluid_bright=subject.is_fluid_bright,
    )
    return Gauge(subject, block, view, ruler)


def _group(block: Block) -> tuple[int, int]:
    return block.slices.group


def _box_mm(block: Block) -> tuple[float, float, float]:
    """Return the sides of a block in mm, the last across the slices."""
    fine, axis = block.task.fine, block.slices.axis
    across = [n for n in range(3) if n != axis]
    spacing = [fine.spacing_mm[a] * g for a, g in zip(across, _group(block), strict=True)]
    spacing.append(fine.spacing_mm[axis] * block.slices.n_across)
    x, y, z = (n * s for n, s in zip(block.start.shape, spacing, strict=True))
    return (x, y, z)
