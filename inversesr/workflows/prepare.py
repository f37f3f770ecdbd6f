"""The one place where it is decided how scans are restored: solver, options, prior, consistency.

`restore`, `run --explain`, `batch`, the notebook and the benchmarks all ask here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from inversesr.acquisition.anatomy import doubt_of_anatomy
from inversesr.acquisition.geometry import describe_acquisition
from inversesr.acquisition.missing import measured_volume
from inversesr.acquisition.noise import estimate_noise
from inversesr.config import AUTOMATIC, BUILTIN_PRIOR, Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan
from inversesr.measurements.consistency import automatic_consistency
from inversesr.measurements.slices import Task
from inversesr.priors.denoiser_inputs import read_conditions
from inversesr.priors.installed import OpenPrior, open_prior
from inversesr.protocols import Solution
from inversesr.solvers import registry
from inversesr.solvers.entry import SolverEntry
from inversesr.solvers.offset import with_offset, without_offset
from inversesr.solvers.options import check_settings, options_of, without_effect
from inversesr.solvers.protocol import Progress
from inversesr.solvers.setup import Setup
from inversesr.solvers.tracing import show
from inversesr.solvers.unet.solver import has_known_slices
from inversesr.volume import Image, Volume
from inversesr.workflows.refusals import refuse_samples


@dataclass(frozen=True, eq=False)
class Regions:
    """Parts of a scan that are marked, on its grid, above 0 inside.

    Attributes:
        brain: The brain.
        excluded: What no prior may change.
    """

    brain: Image | None = None
    excluded: Image | None = None


@dataclass(frozen=True, eq=False)
class Prepared:
    """How one scan is restored.

    Attributes:
        task: The scan, what was measured of it and how.
        setup: The solver, its options, its prior, and how the result is made consistent.
        notes: What a reader should know of the choices, in sentences.
    """

    task: Task
    setup: Setup
    notes: tuple[str, ...] = ()

    @property
    def solver(self) -> SolverEntry:
        """The solver."""
        return self.setup.solver

    def solve(self, progress: Progress) -> Solution:
        """Run the solver.

        Raises:
            InputError: the prior is not usable.
        """
        show(lambda: self.task.x0)
        task, air = without_offset(self.task)
        found = self.solver.restore(task, replace(self.setup, progress=progress))
        solution = with_offset(found, air)
        show(lambda: solution.x)
        return solution


def prepare(
    scan: Scan,
    config: Config,
    regions: Regions | None = None,
    prior: OpenPrior | None = None,
    device: torch.device | None = None,
) -> Prepared:
    """Decide how one scan is restored.

    Args:
        scan: The scan.
        config: Choices of the run.
        regions: Parts of the scan that are marked.
        prior: The prior, where it is open already; None opens that of the config if need be.
        device: Where to compute; None for the processor.

    Raises:
        InputError: the scan cannot be refined, or choices contradict each other.
    """
    regions = regions or Regions()
    acquisition = describe_acquisition(scan, config)
    there = measured_volume(scan.volume, acquisition.slice_axis, acquisition.missing)
    sigma = config.noise
    if sigma is None:
        sigma = estimate_noise(there, acquisition.slice_axis)
    y = torch.from_numpy(there.data).to(device or torch.device("cpu"))
    excluded, brain = (
        None if region is None else torch.from_numpy(region > 0).to(y)
        for region in (regions.excluded, regions.brain)
    )
    task = Task(y, scan.volume.grid, acquisition, sigma, excluded, brain)
    return prepare_task(task, config, prior, strange_to_prior(there, config))


def strange_to_prior(volume: Volume, config: Config) -> str:
    """Return why the built-in prior knows no scans like this; "" if it does, or is not asked.

    What another prior has seen is known to its maker only.
    """
    if config.prior != BUILTIN_PRIOR or not _may_use_prior(config):
        return ""
    return doubt_of_anatomy(volume)


def _may_use_prior(config: Config) -> bool:
    return config.solver == AUTOMATIC or registry.find(config.solver).has_prior


def prepare_task(
    task: Task, config: Config, prior: OpenPrior | None = None, strange: str = ""
) -> Prepared:
    """Decide how what was measured is restored; see `prepare`.

    Args:
        task: What was measured.
        config: Choices of the run.
        prior: The prior, where it is open already.
        strange: Why the prior knows no scans like this; "" if it does.
    """
    solver, notes = choose_solver(task, config, strange)
    check_settings(config.settings)
    ignored = without_effect(solver, config.settings)
    if ignored:
        notes = (*notes, f"{solver.name} has no option {', '.join(ignored)}: it had no effect")
    options = options_of(solver, config.settings)
    if solver.draws_samples and config.samples is not None:
        options = replace(options, n_samples=config.samples)
    consistency, remarks = choose_consistency(task, solver, config)
    if solver.has_prior and prior is None:
        prior = open_prior(config.prior)
    prior = prior if solver.has_prior else None
    if prior is not None and config.condition:
        prior = prior.told(read_conditions(config.condition))
    setup = Setup(solver, solver.complete(options, prior), prior, consistency, config.seed)
    return Prepared(task, setup, (*notes, *remarks))


def choose_solver(
    task: Task, config: Config, strange: str = ""
) -> tuple[SolverEntry, tuple[str, ...]]:
    """Return the solver to use, and what a reader should know of the choice, in sentences.

    Args:
        task: What was measured.
        config: Choices of the run.
        strange: Why the prior knows no scans like this; "" if it does.

    Raises:
        InputError: there is no such solver, or it would not heed what was asked for.
    """
    default, fallback = registry.DEFAULT_NAME, registry.FALLBACK_NAME
    if config.solver != AUTOMATIC:
        entry = registry.find(config.solver)
        refuse_samples(entry, config)
        told = f"{strange}: the prior may invent detail, compare with --solver {fallback}"
        return entry, (told,) if strange else ()
    if config.samples is not None and task.acquisition.missing:
        sampler = registry.find(registry.SAMPLER_OF_GAPS_NAME)
        return sampler, (f"{strange}: samples say less of the errors",) if strange else ()
    unknown = strange or _unknown_to_network(task)
    if not unknown:
        return registry.find(default), ()
    if config.samples is not None:
        # no other solver draws any
        return registry.find(default), (f"{unknown}: samples say less of the errors",)
    return registry.find(fallback), (f"{unknown}: {fallback} is used",)


def _unknown_to_network(task: Task) -> str:
    """Return why the network does not know slices like those of a scan; "" if it does."""
    if task.acquisition.is_overlapping:
        return "slices overlap, which the network has not seen"
    if has_known_slices(task):
        return ""
    thin = task.fine.plane_distance_mm[task.slice_axis]
    thickness, distance = task.acquisition.thickness_mm, task.acquisition.slice_spacing_mm
    return (
        f"slices are {thickness / thin:.3g} times as thick as the thin ones and lie "
        f"{distance / thin:.3g} of them apart, outside the network's training range"
    )


def choose_consistency(
    task: Task, solver: SolverEntry, config: Config
) -> tuple[str, tuple[str, ...]]:
    """Return how a result is made consistent with its scan, and what to know of that."""
    # plain interpolation is the baseline: what people get today
    if not solver.is_consistent:
        return "off", ()
    if config.consistency == AUTOMATIC and task.acquisition.is_overlapping:
        return "noise", (
            "slices overlap: the result agrees with them to within their noise, which exact "
            "agreement would amplify",
        )
    return automatic_consistency(
        task.y, task.sigma, config.consistency, is_nearly_isotropic=task.is_nearly_isotropic
    )


def solver_of_fusion(scans: Sequence[Scan], config: Config) -> tuple[SolverEntry, tuple[str, ...]]:
    """Return the solver that fuses several scans, and what to know of that choice.

    The network restores each of them where it knows slices like theirs, else total variation
    fuses them alone.

    Args:
        scans: The scans.
        config: Choices of the run.

    Raises:
        InputError: another one was named, or what it does not heed was asked for.
    """
    n_scans, fusers = len(scans), registry.fusers()
    if config.solver not in (AUTOMATIC, *(entry.name for entry in fusers)):
        entry = registry.find(config.solver)
        names = f"{', '.join(e.name for e in fusers[:-1])} and {fusers[-1].name}"
        message = (
            f"{n_scans} scans were given; {entry.name} takes one and only {names} fuse several: "
            f"name one scan, or give --solver {fusers[-1].name}"
        )
        raise InputError(message)
    fusing, notes = _fuser_of(scans, config)
    useless = {
        f"{n_scans} scans were given and --motion {config.motion} looks within one: leave it out, "
        "for the poses of scans are found anyway": config.motion not in ("off", AUTOMATIC),
        f"{n_scans} scans are fused by {fusing.name}, which draws no samples: leave out --samples":
            config.samples is not None,
        f"{n_scans} scans were given and --missing names slices of one: state MissingSlices in "
        "the sidecar of each": config.missing is not None,
        f"{n_scans} scans are fused by {fusing.name}, which protects nothing: leave out --protect":
            config.protect is not None,
        f"consistency is {config.consistency} and there are {n_scans} scans, which contradict "
        "each other: leave out --consistency, or give one scan":
            config.consistency in ("exact", "noise"),
    }  # fmt: skip
    for message, is_given in useless.items():
        if is_given:
            raise InputError(message)
    return fusing, notes


def _fuser_of(scans: Sequence[Scan], config: Config) -> tuple[SolverEntry, tuple[str, ...]]:
    if config.solver != AUTOMATIC:
        return registry.find(config.solver), ()
    fallback = registry.find(registry.FALLBACK_NAME)
    for scan in scans:
        acquisition = describe_acquisition(scan, config)
        there = measured_volume(scan.volume, acquisition.slice_axis, acquisition.missing)
        task = Task(torch.from_numpy(there.data), scan.volume.grid, acquisition, 0.0)
        if not has_known_slices(task):
            return fallback, ()
        strange = strange_to_prior(there, config)
        if strange:
            return fallback, (f"{scan.name}: {strange}: {fallback.name} is used",)
    return registry.find(registry.DEFAULT_NAME), ()
