"""What surrounds every solver on latents of a prior: first guess, placement, what is kept from it.

A prior that does not fit the scan is refused, and total variation is used instead.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from inversesr.measurements.consistency import make_consistent
from inversesr.measurements.protocol import Measurement
from inversesr.measurements.slices import Task
from inversesr.priors.card import PriorCard
from inversesr.priors.installed import OpenPrior
from inversesr.priors.instrumented import InstrumentedPrior
from inversesr.priors.networks.unet import ROLE
from inversesr.protocols import Solution
from inversesr.solvers import registry
from inversesr.solvers.latent.chain import start_levels
from inversesr.solvers.latent.pose import PriorRefused
from inversesr.solvers.latent.preparation import load_for_task, prepare
from inversesr.solvers.latent.problem import Problem
from inversesr.solvers.latent.residual_map import keep_surprises
from inversesr.solvers.setup import Setup
from inversesr.solvers.unet.solver import thin
from inversesr.solvers.unet.spread import sd_factor
from inversesr.uncertainty.intervals import scale_spread

Method = Callable[
    [Problem, InstrumentedPrior, Any, torch.Generator, Callable[[int, int], None]], Solution
]


def restore_with(method: Method, task: Measurement, setup: Setup) -> Solution:
    """Restore an image by a method on latents.

    Args:
        method: The method.
        task: What was measured.
        setup: What was decided before.

    Raises:
        InputError: the prior is not usable.
    """
    entry, options = setup.solver, setup.options
    prior = load_for_task(setup.needed_prior, task, getattr(options, "backend", "lean"))
    prepared = prepare(task, prior, _first_guess(task, setup, prior.card), setup.seed)
    if isinstance(prepared, PriorRefused):
        return _without_prior(task, setup, prepared.reason)
    problem, counted = prepared
    generator = torch.Generator().manual_seed(setup.seed)
    solution = method(
        problem, counted, options, generator, lambda n, of: setup.progress(entry.name, n, of)
    )
    solution = replace(
        solution,
        facts={**problem.facts, **solution.facts},
        notes=(*problem.notes, *solution.notes),
    )
    problem = _as_measured(problem, solution)
    solution = scale_spread(solution, sd_factor(task, setup, solution))
    is_watchful = not entry.is_published and options.surprise
    # a misfit has a place in the image where the data are slices
    is_watchful = is_watchful and problem.interpolate is not None
    rmse = counted.reconstruction_rmse if is_watchful else None
    return keep_surprises(problem, solution, rmse, task.fine_protect, task.fine.spacing_mm)


def with_noise_levels(options: Any, prior: OpenPrior | None) -> Any:  # noqa: ANN401
    """Return options whose noise levels suit the first guess that a prior allows.

    Args:
        options: Options of a solver that starts from the U-Net's image where there is one.
        prior: The prior.
    """
    is_warm = prior is not None and ROLE in prior.card.networks
    n_levels, sigma_high = start_levels(is_warm=is_warm)
    missing = {"n_levels": n_levels, "sigma_high": sigma_high}
    own = vars(options)
    return replace(options, **{n: v for n, v in missing.items() if n in own and own[n] is None})


def _without_prior(task: Measurement, setup: Setup, reason: str) -> Solution:
    """Restore an image whose prior was refused."""
    instead = registry.find(registry.FALLBACK_NAME)
    setup = replace(setup, solver=instead, options=instead.options(), prior=None)
    return replace(instead.restore(task, setup), notes=(reason,), solver=instead.name)


def _first_guess(task: Measurement, setup: Setup, card: PriorCard) -> torch.Tensor | None:
    """Return the U-Net's image, as consistent with the scan as its noise lets it, or None."""
    if not (setup.solver.starts_from_unet and ROLE in card.networks and isinstance(task, Task)):
        return None
    # protection comes at the end, and once
    x = thin(replace(task, protect=None), setup).x
    return make_consistent(task.A, x, task.y, 0.0 if setup.consistency == "exact" else task.sigma)


def _as_measured(problem: Problem, solution: Solution) -> Problem:
    """Return the problem with the slice thickness that a solver found."""
    if problem.blurred is None or solution.thickness_factor == 1.0:
        return problem
    return replace(problem, A=problem.blurred(solution.thickness_factor))
