"""Solvers by name: what each needs of a scan, and the one table that lists them all."""

from collections.abc import Callable
from dataclasses import replace

import torch

from inversesr.config import AUTOMATIC, SAMPLING_SOLVER, Config
from inversesr.measurements.consistency import choose_lock, lock
from inversesr.measurements.slices import Task
from inversesr.priors.card import PriorCard, read_card
from inversesr.priors.instrumented import InstrumentedPrior
from inversesr.priors.networks.error_net import ErrorNet, load_error_net
from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.priors.networks.unet import ROLE, load_unet
from inversesr.priors.store import find_prior
from inversesr.protocols import Progress, Solution
from inversesr.solvers.latent.few_step_noise import few_step_noise
from inversesr.solvers.latent.inversesr_dec import inversesr_dec
from inversesr.solvers.latent.inversesr_ldm import inversesr_ldm
from inversesr.solvers.latent.map import latent_map
from inversesr.solvers.latent.pnp import latent_pnp
from inversesr.solvers.latent.pose import PriorRefused
from inversesr.solvers.latent.preparation import load_for_task, prepare
from inversesr.solvers.latent.problem import Problem
from inversesr.solvers.latent.residual_map import keep_interpolation, keep_surprises
from inversesr.solvers.latent.split_gibbs import split_gibbs
from inversesr.solvers.offset import with_offset, without_offset
from inversesr.solvers.options import SolverOptions, with_settings
from inversesr.solvers.tracing import show
from inversesr.solvers.tv.single import tv
from inversesr.solvers.unet.solver import (
    Effort,
    describe_slices,
    deviation_to_expect,
    warmstart,
)
from inversesr.uncertainty.intervals import LEAST_SAMPLES, factor_of_expected, scale_spread

# An image of least variation is as far from the scan as it may be, which smooths too much where
# that is all of the noise and no exact lock follows; see docs/decisions, 008.
SHARE_OF_NOISE = 0.8

Method = Callable[
    [Problem, InstrumentedPrior, SolverOptions, torch.Generator, Callable[[int, int], None]],
    Solution,
]
Solver = Callable[[Task, Config, Progress], Solution]


def _spline(task: Task, _config: Config, _progress: Progress) -> Solution:
    return Solution(task.x0, "closed form", 0)


def _tv(task: Task, config: Config, progress: Progress) -> Solution:
    axis = task.acquisition.slice_axis
    how, _ = choose_lock(task.y, task.sigma, config.lock)
    sigma = task.sigma * (1.0 if how == "exact" else SHARE_OF_NOISE)
    return tv(task.A, task.y, task.x0, sigma, axis, lambda n, of: progress("tv", n, of))


def _warmstart(task: Task, config: Config, progress: Progress) -> Solution:
    options = with_settings(SolverOptions(), config.settings)
    error_net = load_error_net(config.prior, task.y.device) if options.expected_error else None
    solution = _thinned(task, config, progress, error_net)
    if solution.sd is None:
        return solution
    factor = read_card(find_prior(config.prior)).error_factor
    facts = {**solution.facts, "error_factor": factor}
    return replace(solution, sd=factor * solution.sd, facts=facts)


def _thinned(
    task: Task, config: Config, progress: Progress, error_net: ErrorNet | None = None
) -> Solution:
    """Run the U-Net, and estimate the error of its result if there is a network for it."""
    options = with_settings(SolverOptions(), config.settings)
    net = load_unet(config.prior, task.y.device)
    effort = Effort(options.adapt_steps, options.n_mirrors, config.seed)
    progress("warmstart", 0, options.adapt_steps + 1)
    solution = warmstart(
        task, net, effort, lambda n, of: progress("warmstart", n, of + 1), error_net
    )
    solution = keep_interpolation(task, solution)
    progress("warmstart", options.adapt_steps + 1, options.adapt_steps + 1)
    return solution


def _with_prior(name: str, method: Method, *, is_published: bool = False) -> Solver:
    """Make a solver of a method that has a prior.

    Args:
        name: Name of the method.
        method: The method.
        is_published: Whether it is to stay as published: no warm start, nothing protected
            without being asked.
    """

    def run(task: Task, config: Config, progress: Progress) -> Solution:
        options = with_settings(SolverOptions(), config.settings)
        options = replace(options, n_samples=config.samples or options.n_samples)
        prior = load_for_task(config.prior, task, options)
        has_warm = not is_published and ROLE in prior.card.networks
        warm = None
        if has_warm:
            # protection comes at the end, and once
            warm = _thinned(replace(task, protect=None), config, progress).x
            how, _ = choose_lock(task.y, task.sigma, config.lock)
            warm = lock(task.A, warm, task.y, 0.0 if how == "exact" else task.sigma)
        prepared = prepare(task, prior, warm, config.seed)
        if isinstance(prepared, PriorRefused):
            instead = _tv(task, config, progress)
            return replace(instead, notes=(prepared.reason,), solver="tv")
        problem, counted = prepared
        generator = torch.Generator().manual_seed(config.seed)
        solution = method(
            problem, counted, options, generator, lambda n, of: progress(name, n, of)
        )
        solution = replace(
            solution,
            facts={**problem.facts, **solution.facts},
            notes=(*problem.notes, *solution.notes),
        )
        problem = _as_measured(problem, solution)
        solution = scale_spread(solution, _sd_factor(task, config, prior.card, solution))
        rmse, spacing = counted.reconstruction_rmse, task.fine.spacing_mm
        is_watchful = options.surprise and not is_published
        return keep_surprises(
            problem, solution, rmse if is_watchful else None, task.fine_protect, spacing
        )

    return run


def _sd_factor(task: Task, config: Config, card: PriorCard, solution: Solution) -> float:
    """Return how much farther from their mean samples are to lie."""
    samples, share = solution.samples, card.sd_over_error
    if samples is None or len(samples) < LEAST_SAMPLES or share is None:
        return card.sd_factor
    error_net = load_error_net(config.prior, task.y.device)
    if error_net is None or not has_known_slices(task):
        return card.sd_factor
    expected = deviation_to_expect(error_net, task, solution.x)
    return factor_of_expected(samples, expected, share) or card.sd_factor


def _as_measured(problem: Problem, solution: Solution) -> Problem:
    """Return the problem with the slice thickness that a solver found."""
    if problem.blurred is None or solution.thickness_factor == 1.0:
        return problem
    return replace(problem, A=problem.blurred(solution.thickness_factor))


# name, as in config.SOLVER_NAMES -> solver
SOLVERS: dict[str, Solver] = {
    "spline": _spline,
    "tv": _tv,
    "warmstart": _warmstart,
    "latent-pnp": _with_prior("latent-pnp", latent_pnp),
    "latent-map": _with_prior("latent-map", latent_map),
    "few-step-noise": _with_prior("few-step-noise", few_step_noise),
    "split-gibbs": _with_prior("split-gibbs", split_gibbs),
    "inversesr-dec": _with_prior("inversesr-dec", inversesr_dec, is_published=True),
    "inversesr-ldm": _with_prior("inversesr-ldm", inversesr_ldm, is_published=True),
}


def has_known_slices(task: Task) -> bool:
    """Whether the warm start knows slices like those of a scan."""
    return _geometry(task).is_known


def _geometry(task: Task) -> SliceGeometry:
    """Return how thick slices are and how far apart they lie, in voxels of the fine grid."""
    return describe_slices(task.scan_grid, task.fine, task.acquisition).geometry


def choose_solver(
    task: Task, wanted: str, n_samples: int | None = None
) -> tuple[str, tuple[str, ...]]:
    """Return the solver to use, and what a reader should know of the choice, in sentences.

    Args:
        task: The scan.
        wanted: Name of a solver, or "auto".
        n_samples: Samples that were asked for, or None.
    """
    if wanted == AUTOMATIC and n_samples is not None:
        return SAMPLING_SOLVER, ()
    if wanted != AUTOMATIC:
        return wanted, ()
    if has_known_slices(task):
        return "warmstart", ()
    found = _geometry(task)
    return "tv", (
        f"slices are {found.thickness:.3g} times as thick as the thin ones and lie "
        f"{found.spacing:.3g} of them apart, outside the training range of the network: tv is "
        "used instead",
    )


def solve(task: Task, config: Config, progress: Progress) -> Solution:
    """Restore a scan by the solver of the config.

    Raises:
        InputError: the solver needs a prior that is not usable, or a setting is wrong.
    """
    # settings are checked even where the solver has none
    with_settings(SolverOptions(), config.settings)
    show(lambda: task.x0)
    task, air = without_offset(task)
    solution = with_offset(SOLVERS[config.solver](task, config, progress), air)
    show(lambda: solution.x)
    return solution
