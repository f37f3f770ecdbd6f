"""From a scan and an installed prior to a `Problem`: load, place, scale, warm up, or refuse."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from inversesr.measurements.protocol import Measurement
from inversesr.measurements.slices import Task
from inversesr.operators.protocol import LinearOperator
from inversesr.priors.card import PriorCard, dump_card
from inversesr.priors.installed import OpenPrior
from inversesr.priors.instrumented import InstrumentedPrior, instrument
from inversesr.priors.latent_diffusion import LatentDiffusionPrior
from inversesr.priors.samplers import ddim
from inversesr.priors.tensors import cached
from inversesr.solvers.latent.chain import draw, short_path
from inversesr.solvers.latent.fixed_prior import Fitted, fit_fixed, percentile_scale
from inversesr.solvers.latent.placement import place_free
from inversesr.solvers.latent.pose import PriorRefused
from inversesr.solvers.latent.problem import IntensityScale, Problem
from inversesr.volume import Volume

# The mean image needs no detail: two chains of four steps from nearly pure noise, and their
# mirror images, are enough.
N_MEAN_CHAINS, N_MEAN_STEPS, MEAN_SIGMA = 2, 4, 200.0


def load_for_task(
    opened: OpenPrior, task: Measurement, gradients: Literal["lean", "stock"]
) -> LatentDiffusionPrior:
    """Load a prior; a free one has no shape yet.

    Args:
        opened: The prior.
        task: What was measured, on the device to compute on.
        gradients: How they are taken, see `LatentDiffusionPrior`.

    Raises:
        InputError: the prior is not installed, not intact, or cannot decode.
    """
    prior = opened.diffusion(task.y.device)
    return replace(prior, gradients=gradients)


def prepare(
    task: Measurement, prior: LatentDiffusionPrior, warm: Tensor | None, seed: int
) -> tuple[Problem, InstrumentedPrior] | PriorRefused:
    """Place a prior on a scan and state what is to be solved.

    Args:
        task: What was measured.
        prior: The prior.
        warm: First guess in the scan's intensities, on the fine grid; None takes the spline.
        seed: Seed of what the alignment draws.

    Returns:
        The problem and the prior as solvers use it, or why the prior must not be used.
    """
    if prior.card.grid.kind == "free":
        placed = place_free(task.fine, task.slice_axis, prior.card.grid)
        prior = prior.on_shape(placed.shape)
        fitted = Fitted(placed, percentile_scale(task.seen, prior.card), torch.ones_like(task.x0))
    else:
        found = fit_fixed(task, prior.card, lambda: known_mean(prior, task.y), seed)
        if isinstance(found, PriorRefused):
            return found
        fitted = found
    scale, placed = fitted.scale, fitted.placement
    problem = Problem(
        A=task.A,
        y=task.in_units(scale.low, scale.width),
        sigma=task.sigma / scale.width,
        interpolate=task.interpolation,
        W=placed.W,
        V=placed.V,
        m=fitted.m,
        slice_axis=task.slice_axis,
        scale=scale,
        warm=_start(task, warm, scale),
        blurred=_thicker(task),
        facts=fitted.facts,
        notes=fitted.notes,
    )
    return problem, instrument(prior)


def _start(task: Measurement, warm: Tensor | None, scale: IntensityScale) -> Tensor | None:
    """Return the first guess in the prior's intensities; None where the spline is one."""
    if warm is None and task.interpolation is None:
        warm = task.x0
    return None if warm is None else scale.to_unit(warm)


def _thicker(task: Measurement) -> Callable[[float], LinearOperator] | None:
    """Return what gives the operator of thicker slices; None where there are no slices."""
    if not isinstance(task, Task):
        return None
    return lambda factor: task.with_thickness(factor).A


@torch.no_grad()
def mean_image(prior: InstrumentedPrior, like: Tensor, generator: torch.Generator) -> Tensor:
    """Return the image that a prior makes of next to no information.

    Args:
        prior: The prior.
        like: Any tensor on the device to compute on.
        generator: Source of the noise, which enters with both signs.
    """
    t = prior.schedule.timestep_of(MEAN_SIGMA)
    path = short_path(prior.schedule, t, N_MEAN_STEPS)
    total = torch.zeros(prior.latent_shape, device=like.device)
    for _ in range(N_MEAN_CHAINS):
        eps = draw(prior.latent_shape, like, generator)
        for sign in (1.0, -1.0):
            total += ddim(prior.schedule, prior.denoise, sign * eps, path)
    return prior.decode(total / (2 * N_MEAN_CHAINS))


def known_mean(prior: LatentDiffusionPrior, like: Tensor) -> Volume:
    """Return the mean image of a fixed prior, made once and cached in the cache folder.

    Args:
        prior: The prior; one without files of its own is not cached.
        like: Any tensor on the device to compute on.
    """

    def make() -> Tensor:
        # the same noise in every run: the image belongs to the prior, not to the scan
        generator = torch.Generator().manual_seed(0)
        return mean_image(instrument(prior), like, generator).cpu()

    if not prior.card.files:
        return Volume(make().numpy(), prior.grid)
    return Volume(cached("mean", mean_recipe(prior.card), make).numpy(), prior.grid)


def mean_recipe(card: PriorCard) -> str:
    """Return all that the mean image of a prior depends on."""
    return f"{dump_card(card)} {N_MEAN_CHAINS} {N_MEAN_STEPS} {MEAN_SIGMA}"
