"""Conditional diffusion: what the slices do not show, given what they show.

    m = s + E[r | s],      x_k = m + r_k - E_D[r | s],      r_k a sample of p(r | s)

s is the spline interpolation, consistent with the scan. Two networks share the noise levels. At
the highest one, where the noisy residual tells nothing, the super-resolution U-Net gives the
posterior mean m: the image of least expected error, smoother than any brain. Below it the
denoiser D takes several steps from noise to a sample (`priors.residual_diffusion`): an image as
sharp as a scan, one of many that agree with what was measured. Samples keep D's deviations from
its own mean, about the mean of the U-Net, which is the better one.

Reference: Feng et al. (2023), ERNIE-ViLG 2.0, arXiv:2210.15257, for experts by noise level.
"""

from dataclasses import dataclass, replace

import torch

from inversesr.config import option
from inversesr.errors import InputError
from inversesr.measurements.consistency import make_consistent
from inversesr.measurements.protocol import Measurement
from inversesr.measurements.slices import Task
from inversesr.operators.proximal import project
from inversesr.operators.separable import Array, SeparableOperator
from inversesr.priors.networks.build import fast_dtype
from inversesr.priors.networks.conditional_denoiser import HIGHEST_SIGMA, ConditionalDenoiser
from inversesr.priors.networks.tiling import in_tiles
from inversesr.priors.networks.unet import ROLE
from inversesr.priors.networks.unet_inference import white_level
from inversesr.priors.residual_diffusion import Denoise, Projection, draw_residual, noise_levels
from inversesr.protocols import Solution
from inversesr.solvers import options, registry
from inversesr.solvers.entry import SolverEntry
from inversesr.solvers.setup import Setup
from inversesr.solvers.unet import solver as unet
from inversesr.solvers.unet.slices import Slices, average, describe_slices, spread
from inversesr.solvers.unet.solver import keep_interpolation, needed_slices, thin
from inversesr.solvers.unet.spread import sd_factor
from inversesr.uncertainty.intervals import scale_spread


@dataclass(frozen=True)
class Diffusion:
    """Options of `diffusion`.

    Raises:
        InputError: a value is outside its range.
    """

    n_samples: int = option(0, "Samples drawn from the posterior; 0 for none.", least=0)
    n_denoiser_steps: int = option(12, "Denoiser calls of a sample.", least=1)
    adapt_steps: int = options.adapt_steps()
    n_mirrors: int = options.n_mirrors()
    expected_error: bool = options.expected_error()

    def __post_init__(self) -> None:
        options.check(self)


def restore(task: Measurement, setup: Setup) -> Solution:
    """Restore a scan: the posterior mean, and samples where they are asked for.

    Raises:
        InputError: the data are no slices, or the prior has no conditional denoiser.
    """
    task = needed_slices(task)
    n_samples = setup.options.n_samples
    if not n_samples:
        mean = unet.restore(task, setup)
        return replace(mean, status=f"posterior mean, {mean.status}")
    if task.acquisition.missing:
        message = (
            "slices are missing and the conditional denoiser was trained on whole stacks: leave "
            f"out --samples, or give --solver {registry.SAMPLER_OF_GAPS_NAME}"
        )
        raise InputError(message)
    net = setup.needed_prior.conditional(task.y.device)
    # what is to be kept from the prior comes at the end, and once
    mean = thin(replace(task, protect=None), setup)
    samples = draw_samples(task, net, mean.x, setup)
    status = f"posterior mean, {mean.status}; {n_samples} samples about it"
    solution = replace(mean, status=status, samples=samples)
    solution = scale_spread(solution, sd_factor(task, setup, solution))
    return keep_interpolation(task, solution)


def draw_samples(
    task: Task, net: ConditionalDenoiser, mean: torch.Tensor, setup: Setup
) -> torch.Tensor:
    """Draw images from the posterior.

    Args:
        task: The scan.
        net: The denoiser.
        mean: The posterior mean, shape task.fine.shape.
        setup: What was decided before.

    Returns:
        Images in the intensities of the scan, shape (n_samples, *task.fine.shape), each as
        consistent with the scan as the result is.
    """
    chosen = setup.options
    slices = describe_slices(task.scan_grid, task.fine, task.acquisition)
    consistent = project(task.A, task.x0, task.y).x.movedim(slices.axis, -1).contiguous()
    seen = average(consistent, slices.groups)
    white = float(white_level(seen))
    denoise = on_volume(net, seen / white, slices, task.sigma / white)
    unseen = what_slices_do_not_show(task.A, slices, seen.shape)
    levels = noise_levels(chosen.n_denoiser_steps)
    generator = torch.Generator().manual_seed(setup.seed)
    sigma = 0.0 if setup.consistency == "exact" else task.sigma
    own_mean = denoise(torch.zeros_like(seen), HIGHEST_SIGMA)
    samples = []
    setup.progress(setup.solver.name, 0, chosen.n_samples)
    for number in range(1, chosen.n_samples + 1):
        noise = torch.randn(seen.shape, generator=generator).to(seen)
        r = white * (draw_residual(denoise, unseen, noise, levels) - own_mean)
        whole = spread(r, slices, consistent.shape)
        x = mean + whole.movedim(-1, slices.axis)
        samples.append(make_consistent(task.A, x, task.y, sigma))
        setup.progress(setup.solver.name, number, chosen.n_samples)
    return torch.stack(samples)


def on_volume(
    net: ConditionalDenoiser, start: torch.Tensor, slices: Slices, sigma: float
) -> Denoise:
    """Return the denoiser of a volume, tile by tile.

    Args:
        net: The prior.
        start: s in intensities near [0, 1], shape (X, Y, Z), slices along Z.
        slices: How they lie.
        sigma: Standard deviation of the noise of the scan's voxels, in those intensities.
    """
    geometry = slices.geometry.as_tensor()[None].to(start.device)
    # averaging voxels within the slice averages their noise
    noise = torch.tensor([sigma / (slices.group[0] * slices.group[1]) ** 0.5]).to(start)
    dtype = fast_dtype(start.device)

    def denoise(r: torch.Tensor, level: float) -> torch.Tensor:
        at = torch.tensor([level]).to(start)

        def run(tile: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
            return net.denoise(tile, geometry, residual, at, noise)

        return in_tiles(run, [start, r], dtype)

    return denoise


def what_slices_do_not_show(A: SeparableOperator, slices: Slices, shape: torch.Size) -> Projection:
    """Return the projection on images that no slice shows, slices along the last axis.

    Args:
        A: Forward operator of the scan.
        slices: How its slices lie.
        shape: Shape of the images, averaged as `slices.groups` says.
    """
    across = slices.matrix(A)
    within: list[Array | None] = [m for n, m in enumerate(A.matrices) if n != slices.axis]
    for n, size in enumerate(slices.group):
        # voxels that are averaged are as fine as the scan's
        within[n] = None if size > 1 else within[n]
    B = SeparableOperator(tuple(shape), (within[0], within[1], across))
    nothing = torch.zeros(B.out_shape)

    def unseen(v: torch.Tensor) -> torch.Tensor:
        return project(B, v, nothing.to(v)).x

    return unseen


SOLVER = SolverEntry(
    "Conditional diffusion: the posterior mean in one step, samples in a few.",
    Diffusion,
    restore,
    networks=(ROLE,),
    draws_samples=True,
    fuses_scans=True,
    steps="n_samples",
    bytes_per_voxel=90.0,
    least_bytes=0.6 * 2**30,
    calibration="sd_factor",
)
