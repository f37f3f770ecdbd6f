"""A super-resolution U-Net that thins the slices in one pass; see `priors.networks.unet`.

    x = l + U (N(P l) - P l),        l = make_consistent(s(y))

s(y) is the spline interpolation of the scan. The network was trained at about 1 mm: voxels that
are much finer within the slice are averaged (P), and what the network changed is interpolated
back (U), so that no detail within the slice is lost. N is first adapted to the scan by a few
steps (`solvers.adaptation`), and averaged over mirror images of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from inversesr.errors import InputError
from inversesr.measurements.protocol import Measurement
from inversesr.measurements.slices import Task
from inversesr.operators.proximal import project
from inversesr.priors.networks.build import fast_dtype
from inversesr.priors.networks.error_net import ErrorNet, expected_error
from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.priors.networks.unet import ROLE, SuperResolutionUNet
from inversesr.priors.networks.unet_inference import refine, refine_with_flips, white_level
from inversesr.protocols import Solution
from inversesr.solvers import options
from inversesr.solvers.entry import SolverEntry
from inversesr.solvers.protection import protected_facts
from inversesr.solvers.setup import Setup
from inversesr.solvers.unet.fine_tuning import Slicing, adapt, can_adapt
from inversesr.solvers.unet.missing import completed, holes_of
from inversesr.solvers.unet.slices import Slices, average, describe_slices, spread
from inversesr.uncertainty.conformal import detail_within, factors_of


@dataclass(frozen=True)
class UNet:
    """Options of `unet`.

    Raises:
        InputError: a value is outside its range.
    """

    adapt_steps: int = options.adapt_steps()
    n_mirrors: int = options.n_mirrors()
    expected_error: bool = options.expected_error()

    def __post_init__(self) -> None:
        options.check(self)


@dataclass(frozen=True)
class Effort:
    """How much is done beyond one pass.

    Attributes:
        adapt_steps: Steps on the scan itself; 0 takes the network as it is.
        n_mirrors: Mirror images whose results are averaged, 1 to 8.
        seed: Of the patches that the network is adapted to.
    """

    adapt_steps: int = 0
    n_mirrors: int = 1
    seed: int = 0


def unet(
    task: Task,
    net: SuperResolutionUNet,
    effort: Effort,
    progress: Callable[[int, int], None],
    error_net: ErrorNet | None = None,
) -> Solution:
    """Thin the slices of a scan.

    Args:
        task: The scan.
        net: Trained network.
        effort: How much is done beyond one pass.
        progress: Called after every step of adapting.
        error_net: Network that estimates the error of the result, or None.
    """
    if task.acquisition.missing:
        return _with_holes(task, net, effort, progress, error_net)
    slices = describe_slices(task.scan_grid, task.fine, task.acquisition)
    # the network saw slices along the last axis only
    consistent = project(task.A, task.x0, task.y).x.movedim(slices.axis, -1).contiguous()
    seen = average(consistent, slices.groups)
    # averaging voxels within the slice averages their noise
    sigma = task.sigma / (slices.group[0] * slices.group[1]) ** 0.5
    net, n_steps = _adapted(net, seen, sigma, slices, effort, progress)
    dtype = fast_dtype(seen.device)
    thin = refine_with_flips(net, seen, slices.geometry, dtype, effort.n_mirrors, sigma)
    x = thin
    if slices.groups != (1, 1, 1):
        x = consistent + spread(thin - seen, slices, consistent.shape)
    status = "adapted to the scan, one pass" if n_steps else "one pass"
    x = x.movedim(-1, slices.axis).contiguous()
    sd = None if error_net is None else deviation_to_expect(error_net, task, x)
    return Solution(x, status, n_steps + 1, sd=sd)


def _with_holes(
    task: Task,
    net: SuperResolutionUNet,
    effort: Effort,
    progress: Callable[[int, int], None],
    error_net: ErrorNet | None,
) -> Solution:
    """Thin the slices of a scan of which some are missing: first these are generated."""
    plain = replace(effort, adapt_steps=0)

    def restored(sparse: Task) -> torch.Tensor:
        return unet(sparse, net, plain, lambda _n, _of: None).x

    found = unet(completed(task, restored), net, effort, progress)
    status = f"missing slices generated, {found.status}"
    sd = None if error_net is None else deviation_to_expect(error_net, task, found.x)
    return replace(found, status=status, sd=sd)


def deviation_to_expect(error_net: ErrorNet, task: Task, x: torch.Tensor) -> torch.Tensor:
    """Return the standard deviation of the error to be expected of a consistent image.

    Args:
        error_net: Network that estimates errors.
        task: The scan.
        x: The image before it is made consistent, shape of the fine grid; made by the U-Net, or
            begun from its image.
    """
    slices = describe_slices(task.scan_grid, task.fine, task.acquisition)

    def seen(image: torch.Tensor) -> torch.Tensor:
        consistent = project(task.A, image, task.y).x.movedim(slices.axis, -1).contiguous()
        return average(consistent, slices.groups)

    dtype, image, first_guess = fast_dtype(x.device), seen(x), seen(task.x0)
    sd = expected_error(error_net, image, first_guess, slices.geometry, dtype)
    for holes, share in holes_of(task):
        # as little is known there as between slices that lie so far apart
        sparser = slices.geometry.every(holes.stride, holes.kept[0])
        there = expected_error(error_net, image, first_guess, sparser, dtype)
        sd = torch.lerp(sd, there, share.to(sd))
    sd = spread(sd, slices, task.x0.movedim(slices.axis, -1).shape)
    return sd.movedim(-1, slices.axis).contiguous()


def _adapted(
    net: SuperResolutionUNet,
    seen: torch.Tensor,
    sigma: float,
    slices: Slices,
    effort: Effort,
    progress: Callable[[int, int], None],
) -> tuple[SuperResolutionUNet, int]:
    """Return the network adapted to the scan if the scan allows it, and the steps taken."""
    white = float(white_level(seen))
    axes = tuple(axis for axis in range(2) if slices.sharp[axis])
    slicing = Slicing(slices.geometry, slices.profile, sigma / white, axes)
    if not effort.adapt_steps or not can_adapt(seen.shape, slicing):
        return net, 0
    dtype = fast_dtype(seen.device)
    image = refine(net, seen, slices.geometry, dtype, sigma=sigma) / white
    generator = torch.Generator().manual_seed(effort.seed)
    n_steps = effort.adapt_steps
    return adapt(net, image, slicing, n_steps, generator, progress), n_steps


def restore(task: Measurement, setup: Setup) -> Solution:
    """Restore a scan, and estimate the error of the result where the prior can.

    Raises:
        InputError: the data are no slices, which is all that the network was trained for.
    """
    task = needed_slices(task)
    prior, device = setup.needed_prior, task.y.device
    judge = prior.error_net(device) if setup.options.expected_error else None
    solution = thin(task, setup, judge)
    if solution.sd is None:
        return solution
    factor = prior.card.error_factor
    facts = {**solution.facts, "error_factor": factor}
    sd, table = solution.sd, prior.card.intervals
    if table is not None:
        x = project(task.A, solution.x, task.y).x
        detail = detail_within(x, task.slice_axis)
        sd = sd * factors_of(table, sd, detail, float(white_level(task.x0)))
        facts["calibrated_by_group"] = True
    return replace(solution, sd=factor * sd, facts=facts)


def thin(task: Task, setup: Setup, judge: ErrorNet | None = None) -> Solution:
    """Run the network; what is to be kept from a prior stays the interpolated scan.

    Args:
        task: The scan.
        setup: What was decided before; its options have `adapt_steps` and `n_mirrors`.
        judge: Network that estimates the error of the result, or None.
    """
    chosen, progress = setup.options, setup.progress
    net = setup.needed_prior.unet(task.y.device)
    effort = Effort(chosen.adapt_steps, chosen.n_mirrors, setup.seed)
    n_steps = chosen.adapt_steps + 1
    progress(ROLE, 0, n_steps)
    solution = unet(task, net, effort, lambda n, _of: progress(ROLE, n, n_steps), judge)
    solution = keep_interpolation(task, solution)
    progress(ROLE, n_steps, n_steps)
    return solution


def needed_slices(task: Measurement) -> Task:
    """Return a measurement that is one of slices.

    Raises:
        InputError: it is another one.
    """
    if isinstance(task, Task):
        return task
    message = (
        "the network restores thin slices from thick ones; found another kind of measurement: "
        "choose a solver that takes any, such as tv"
    )
    raise InputError(message)


def has_known_slices(task: Task) -> bool:
    """Whether the network knows slices like those of a scan."""
    return geometry_of(task).is_known


def geometry_of(task: Task) -> SliceGeometry:
    """Return how thick slices are and how far apart they lie, in voxels of the fine grid."""
    return describe_slices(task.scan_grid, task.fine, task.acquisition).geometry


def keep_interpolation(task: Task, solution: Solution) -> Solution:
    """Bring the image of a network back to the interpolated scan where a mask says so.

    Args:
        task: The scan, with what is to be protected.
        solution: What the network made of it.
    """
    mask = task.fine_protect
    if mask is None:
        return solution
    x = solution.x + mask * (project(task.A, task.x0, task.y).x - solution.x)
    facts = {**solution.facts, **protected_facts(mask)}
    return replace(solution, x=x, prior_mask=1.0 - mask, unprotected=solution.x, facts=facts)


SOLVER = SolverEntry(
    "A super-resolution U-Net, fine-tuned on the scan.",
    UNet,
    restore,
    networks=(ROLE,),
    fuses_scans=True,
    bytes_per_voxel=80.0,
    least_bytes=0.6 * 2**30,
    calibration="error_factor",
)
