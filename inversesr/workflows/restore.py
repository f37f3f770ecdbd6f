"""From scans to a restored image: the whole way on one screen, without disk or terminal."""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

import torch

from inversesr.acquisition.likeness import LEAST_LIKENESS
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.io.nifti import Scan, stored
from inversesr.measurements.consistency import agreement, make_consistent
from inversesr.measurements.slices import Task
from inversesr.priors.installed import OpenPrior, open_prior
from inversesr.protocols import Solution
from inversesr.result import MAPS, Map, Result, Source, make_map
from inversesr.solvers import registry
from inversesr.solvers.entry import SolverEntry
from inversesr.solvers.protocol import Progress
from inversesr.uncertainty.intervals import QUANTILES, summarise
from inversesr.volume import Image, Volume
from inversesr.workflows.fusion import Fusion, fuse
from inversesr.workflows.moved_result import kind_of_motion, restore_motion
from inversesr.workflows.prepare import Regions, prepare, prepare_task, solver_of_fusion
from inversesr.workflows.prior_fusion import Thin
from inversesr.workflows.stack import Stack

# Heads move by less between the scans of one session.
LARGEST_LIKELY_MOTION_MM = 30.0
# One of several stacks is restored in one pass, unless options say otherwise; the error of one
# alone says nothing of what all of them give.
OF_A_STACK = ("solver.adapt_steps=0", "solver.expected_error=false")


def restore(
    scans: Sequence[Scan],
    config: Config,
    mask: Image | None = None,
    progress: Progress = lambda _phase, _done, _total: None,
    protect: Image | None = None,
    prior: OpenPrior | None = None,
) -> Result:
    """Restore the thin slices behind one scan, or behind several of one subject.

    Args:
        scans: One scan, or several of the same subject and contrast.
        config: Choices of the run.
        mask: The brain on the first scan's grid, above 0 inside: where several scans are
            registered, and by what one scan is aligned to a prior with a pose of its own.
        progress: Called with a phase, the steps done and their total.
        protect: Where no prior may speak, on the scan's grid, above 0 inside; one scan only.
        prior: The prior, where it is open already.

    Raises:
        InputError: the scans cannot be refined.
    """
    device = choose_device(config.device)
    if len(scans) == 1:
        return _restore_one(scans[0], config, progress, device, Regions(mask, protect), prior)
    fusing, remarks = solver_of_fusion(scans, config)
    start = perf_counter()
    prior = prior_of_fusion(fusing, config, prior)
    if prior is not None:
        # a prior without the network is refused before minutes of registration
        prior.unet(device)
    fusion = fuse(scans, config, mask, progress, device, thinner(config, prior))
    seconds = perf_counter() - start
    return _fused_result(fusion, config, fusing.name, seconds, card_record(prior), remarks)


def prior_of_fusion(
    fusing: SolverEntry, config: Config, prior: OpenPrior | None = None
) -> OpenPrior | None:
    """Return the prior by which a solver fuses several scans; None for one without a prior.

    Raises:
        InputError: there is no such prior.
    """
    if not fusing.has_prior:
        return None
    return open_prior(config.prior) if prior is None else prior


def thinner(config: Config, prior: OpenPrior | None) -> Thin | None:
    """Return what restores one of several stacks on its own fine grid; None without a prior."""
    if prior is None:
        return None
    chosen = replace(
        config, solver=registry.DEFAULT_NAME, settings=(*OF_A_STACK, *config.settings)
    )

    def thin(task: Task) -> torch.Tensor:
        return prepare_task(task, chosen, prior).solve(lambda _phase, _done, _total: None).x

    return thin


def choose_device(name: str) -> torch.device:
    """Return the device to compute on; "auto" takes a GPU where there is one.

    Raises:
        InputError: CUDA was asked for and is not there.
    """
    has_cuda = torch.cuda.is_available()
    if name == "cuda" and not has_cuda:
        message = "no CUDA device is usable here: leave out --device, or run `inversesr doctor`"
        raise InputError(message)
    return torch.device("cuda" if has_cuda and name != "cpu" else "cpu")


def _restore_one(
    scan: Scan,
    config: Config,
    progress: Progress,
    device: torch.device,
    regions: Regions,
    prior: OpenPrior | None,
) -> Result:
    start = perf_counter()
    ready = prepare(scan, config, regions, prior, device)
    task, prepared = ready.task, perf_counter()
    kind = kind_of_motion(task, config)
    if kind is not None:
        found = restore_motion(scan, ready, config, kind, progress)
        return replace(found, prior_card=card_record(ready.setup.prior))
    solution = ready.solve(progress)
    solved = perf_counter()
    y = task.y
    task = task.with_thickness(solution.thickness_factor)
    consistency = ready.setup.consistency
    x = _as_written(_consistent(task, solution.x, consistency), task, scan, config)
    source = Source(
        scan,
        task.acquisition,
        task.sigma,
        agreement(task.A(solution.x), y, task.acquisition.slice_axis),
        agreement(task.A(x), y, task.acquisition.slice_axis),
    )
    seconds = {
        "prepare": prepared - start,
        "solve": solved - prepared,
        "consistency": perf_counter() - solved,
    }
    result = Result(
        _on_grid(x, task),
        (source,),
        config,
        solution.status,
        solution.history,
        solution.solver or ready.solver.name,
        consistency,
        seconds,
        (*ready.notes, *solution.notes),
        solution.facts,
        prior_refused=config.prior if solution.solver else None,
        prior_card=None if solution.solver else card_record(ready.setup.prior),
    )
    return _with_maps(result, task, solution, x)


def card_record(prior: OpenPrior | None) -> dict[str, str | None] | None:
    """Name, version and hash of the card of a prior, which has the hashes of its weights."""
    if prior is None:
        return None
    return {"name": prior.card.name, "version": prior.card.version, "sha256": prior.sha256}


def _consistent(task: Task, x: torch.Tensor, consistency: str) -> torch.Tensor:
    """Return the image that agrees with the scan as was asked for."""
    if consistency == "off":
        return x
    return make_consistent(task.A, x, task.y, task.sigma if consistency == "noise" else 0.0)


def _as_written(x: torch.Tensor, task: Task, scan: Scan, config: Config) -> torch.Tensor:
    """Return an image as its file will hold it: what is judged is what is written."""
    return torch.from_numpy(stored(_on_grid(x, task), scan, config.output_type).data).to(x)


def _on_grid(image: torch.Tensor, task: Task) -> Volume:
    return Volume(image.float().cpu().numpy(), task.fine)


def _with_maps(result: Result, task: Task, solution: Solution, x: torch.Tensor) -> Result:
    """Return a result with the images that say how far it can be trusted.

    Args:
        result: The result.
        task: The scan.
        solution: What the solver found.
        x: The image, made consistent as was asked for: quantiles lie about it.
    """
    unprotected = solution.unprotected if result.config.keep_unprotected else None
    if unprotected is not None:
        unprotected = _consistent(task, unprotected, result.consistency)
    prior = "weights by which the solver joined the prior and the scan"
    found = {
        "sd": (solution.sd, "network of the prior that estimates errors"),
        "prior_mask": (solution.prior_mask, prior),
        "surprise": (solution.surprise, "scan and best fit of the prior"),
        "generated": (task.generated, "places of the slices that are missing"),
        "unprotected": (unprotected, "image of the solver, made consistent with the scan"),
    }
    maps = {
        name: make_map(name, _on_grid(image, task), source)
        for name, (image, source) in found.items()
        if image is not None
    }
    if solution.samples is None:
        return replace(result, maps=maps)
    drawn = _maps_of_samples(task, x, solution.samples)
    warning = "one sample says nothing of its spread: give --samples 2 or more"
    notes = result.notes if drawn else (*result.notes, warning)
    found_maps = maps | drawn
    return replace(result, maps={n: found_maps[n] for n in MAPS if n in found_maps}, notes=notes)


def _maps_of_samples(task: Task, x: torch.Tensor, samples: torch.Tensor) -> dict[str, Map]:
    """Return deviation and quantiles of samples about an image; nothing of a single one."""
    found = summarise(x, samples)
    if found is None:
        return {}
    low, high = (found.quantiles[q] for q in QUANTILES)
    source = f"{len(samples)} samples drawn by the solver"
    meaning = "standard deviation of the samples"
    return {
        "sd": make_map("sd", _on_grid(found.sd, task), source, meaning),
        "low": make_map("low", _on_grid(low, task), source),
        "high": make_map("high", _on_grid(high, task), source),
    }


def _fused_result(
    fusion: Fusion,
    config: Config,
    used: str,
    seconds: float,
    card: dict[str, str | None] | None,
    remarks: tuple[str, ...],
) -> Result:
    x = fusion.solution.x
    sources: list[Source] = []
    notes = list(remarks)
    for stack in fusion.stacks:
        seen = stack.operator(x)
        # voxels that the common grid does not cover say nothing about the image
        is_covered = stack.coverage > 0.99
        y_of_x = torch.where(is_covered, seen, stack.y)
        notes += _doubts_of_stack(stack)
        found = agreement(y_of_x, stack.y, stack.acquisition.slice_axis)
        sources.append(
            Source(
                stack.scan,
                stack.acquisition,
                stack.sigma / stack.gain,
                found,
                found,
                stack.motion_mm,
            )
        )
    return Result(
        Volume(x.cpu().numpy(), fusion.fine),
        tuple(sources),
        config,
        fusion.solution.status,
        fusion.solution.history,
        used,
        "off",
        {"fuse": seconds},
        tuple(notes),
        prior_card=card,
    )


def _doubts_of_stack(stack: Stack) -> list[str]:
    """Return what speaks against a scan belonging to the others, in sentences."""
    found = []
    if stack.motion_mm > LARGEST_LIKELY_MOTION_MM:
        found.append(
            f"registration moved {stack.scan.name} by up to {stack.motion_mm:.0f} mm: see in the "
            "report whether it shows the same head in the same place"
        )
    if stack.likeness is not None and stack.likeness < LEAST_LIKENESS:
        found.append(
            f"{stack.scan.name} fits the other scans poorly (its details and those of the first "
            f"correlate by {stack.likeness:.2f}, expected above {LEAST_LIKENESS}): the head moved "
            "in it, or it shows another contrast or another head: see the report, or leave it out"
        )
    return found
