"""What becomes of lesions: put into real heads, thickened, restored, and sought again.

Every head is restored with and without the lesions, from slices with the same noise. The
difference between the two is where lesions are sought; the head without them is where nothing may
look like one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from inversesr.acquisition.foreground import Mask
from inversesr.acquisition.simulation import simulate, slice_axis_towards
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.comparison import Setup, read_truth
from inversesr.benchmarks.lesion_painting import (
    CONTRASTS,
    Lesion,
    Painted,
    all_lesions,
    around,
    inside_brain,
    place_scenes,
    slots_of,
)
from inversesr.benchmarks.lesion_rows import GHOST, INVENTED, PLAIN, LesionRow
from inversesr.benchmarks.lesion_runs import (
    SURPRISE,
    Images,
    Seen,
    Subject,
    measured_change,
    restored,
)
from inversesr.evaluation.lesions import Spot, Template, of_one_only, outcome, spots
from inversesr.io.checks import stem
from inversesr.solvers.registry import BASELINE_NAME
from inversesr.volume import Image

# The contrast of what counts as invented, as a share of the median intensity of the brain.
LEAST_CONTRAST = min(CONTRASTS)


@dataclass(frozen=True)
class Study:
    """What is put in, and what is tried.

    Attributes:
        tasks: How each image is thickened.
        solvers: Names of solvers; interpolation is measured before them.
        setup: What all share; its seed is also that of places and outlines.
        n_lesions: How many of all lesions are put into each image; None for all of them.
        is_masked: Whether solvers with a prior also run with the lesions excluded from it.
    """

    tasks: Sequence[SimulateConfig]
    solvers: Sequence[str]
    setup: Setup
    n_lesions: int | None = None
    is_masked: bool = False

    def lesions(self, rng: np.random.Generator) -> list[Lesion]:
        """Return what is put into one image."""
        known = all_lesions()
        n = len(known) if self.n_lesions is None else min(self.n_lesions, len(known))
        return [known[k] for k in rng.permutation(len(known))[:n]]


def measure_lesions(
    truths: Sequence[Path],
    study: Study,
    tell: Callable[[LesionRow], None] = lambda _row: None,
    look: Callable[[Seen], None] = lambda _seen: None,
) -> list[LesionRow]:
    """Put lesions into heads, restore these with and without them, and seek the lesions.

    Args:
        truths: Thin-slice images.
        study: Lesions, slices and solvers.
        tell: Called with each row.
        look: Called with each scene and solver.
    """
    rows: list[LesionRow] = []
    for path in truths:
        for task in study.tasks:
            for row in _rows_of(prepare_subject(path, task, study), study, look):
                rows.append(row)
                tell(row)
    return rows


def prepare_subject(path: Path, task: SimulateConfig, study: Study) -> Subject:
    """Read a head, and find places for lesions in it."""
    truth = read_truth(path, task.axis, study.setup.crop).volume
    brain = inside_brain(truth.data, truth.grid.spacing_mm)
    axis = slice_axis_towards(truth.grid, task.axis)
    slots = slots_of(simulate(truth, task).grid, truth.grid, axis)
    rng = np.random.default_rng(study.setup.seed)
    scenes = place_scenes(truth, brain, slots, study.lesions(rng), rng)
    return Subject(stem(path), task, truth, brain, scenes)


def _rows_of(subject: Subject, study: Study, look: Callable[[Seen], None]) -> Iterator[LesionRow]:
    """Restore one head with every solver, with and without lesions, and judge the images."""
    by_spline: dict[int, list[float]] = {}
    of_spline: list[Spot] = []
    for solver in dict.fromkeys([BASELINE_NAME, *study.solvers]):
        config = study.setup.config(solver, subject.task, subject.truth.grid)
        plain = restored(subject, [], config, is_masked=study.is_masked)
        for name in [name for name in plain if name != SURPRISE]:
            found = invented(subject, plain[name])
            of_spline = found if solver == BASELINE_NAME else of_spline
            yield from _invented_rows(subject, (solver, name), found, of_spline)
        for n, scene in enumerate(subject.scenes):
            images = restored(subject, scene, config, is_masked=study.is_masked)
            seen = Seen(subject, scene, solver, images, plain)
            look(seen)
            if solver == BASELINE_NAME:
                by_spline[n] = contrasts(scene, images[PLAIN] - plain[PLAIN])
            yield from judge(seen, measured_change(subject, scene, config), by_spline[n])


def contrasts(scene: Sequence[Painted], difference: Image) -> list[float]:
    """Return the contrast of each lesion in a difference, 1 for the truth."""
    return [Template.of(p.box, p.change, p.region).contrast(difference) for p in scene]


def judge(seen: Seen, measured: Image, by_spline: Sequence[float]) -> Iterator[LesionRow]:
    """Seek the lesions of a scene, and ghosts of them elsewhere.

    Args:
        seen: The scene as it was restored.
        measured: What of the lesions the slices show.
        by_spline: Contrast of each in the spline interpolation.
    """
    subject, scene = seen.subject, seen.scene
    free = subject.brain & ~around(subject.truth.grid.shape, scene)
    in_slices = contrasts(scene, measured)
    for name in [name for name in seen.images if name != SURPRISE]:
        difference = seen.images[name] - seen.plain[name]
        for n, painted in enumerate(scene):
            template = Template.of(painted.box, painted.change, painted.region)
            found = template.contrast(difference)
            spread = template.spread(difference, free, np.random.default_rng(n))
            lesion = painted.lesion
            yield LesionRow(
                subject.name,
                subject.task_words,
                seen.solver,
                name,
                outcome(in_slices[n], found, found / spread),
                lesion.kind,
                lesion.diameter_mm,
                lesion.contrast,
                lesion.placement,
                len(scene),
                in_slices[n],
                found,
                by_spline[n],
                found / spread,
                _surprise_within(seen.images, painted),
            )
        images = (seen.images[name], seen.plain[name])
        yield from _ghost_rows(seen, name, _spots(subject, *images, free))


def invented(subject: Subject, image: Image) -> list[Spot]:
    """Return what looks like a lesion in the image of a head that has none."""
    return _spots(subject, image, subject.truth.data, subject.brain)


def _spots(subject: Subject, image: Image, truth: Image, inside: Mask) -> list[Spot]:
    least = LEAST_CONTRAST * subject.level
    return spots(image, truth, inside, subject.truth.grid.spacing_mm, least)


def _surprise_within(images: Images, painted: Painted) -> float | None:
    if SURPRISE not in images:
        return None
    return float(images[SURPRISE][painted.box][painted.change != 0.0].max())


def _invented_rows(
    subject: Subject, made_by: tuple[str, str], found: list[Spot], of_spline: list[Spot]
) -> Iterator[LesionRow]:
    alone = of_one_only(found, of_spline, np.array(subject.truth.grid.spacing_mm))
    for spot in found:
        blank = _row_of_spot(subject, made_by, INVENTED, spot)
        yield replace(blank, is_in_spline=spot not in alone)


def _ghost_rows(seen: Seen, name: str, found: list[Spot]) -> Iterator[LesionRow]:
    for spot in found:
        row = _row_of_spot(seen.subject, (seen.solver, name), GHOST, spot)
        yield replace(row, n_together=len(seen.scene))


def _row_of_spot(
    subject: Subject, made_by: tuple[str, str], outcome_: str, spot: Spot
) -> LesionRow:
    kind = "bright" if spot.contrast > 0.0 else "dark"
    contrast = abs(spot.contrast) / subject.level
    names = (subject.name, subject.task_words, *made_by)
    return LesionRow(*names, outcome_, kind, spot.diameter_mm, contrast)
