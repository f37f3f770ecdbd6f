"""Batches that are made wholly on a device: patches, contrasts, slices, noise.

One step of a GPU takes milliseconds, less than the processor needs to make its batch one patch at
a time. Here volumes lie in the device's memory, slices are drawn from a pool of geometries whose
matrices are padded to one size, and the processor only says where to cut.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inversesr.priors.slice_examples import SliceExamples, SliceMaps, slice_maps
from inversesr.training import device_contrast as contrast
from inversesr.training.degradation import DegradationConfig, draw_geometry, draw_profile
from inversesr.training.device_volumes import cut_patches, to_device
from inversesr.training.patches import PatchConfig, draw_batch
from inversesr.training.random import integer
from inversesr.training.training_scan import TrainingScan

# Geometries that batches draw from, and the seed of the pool: a resumed run has the same one.
N_GEOMETRIES, POOL_SEED = 512, 0
LEAST_SLICES = 4
LARGEST_SEED = 2**31

# (generator on the processor) -> a batch
Draw = Callable[[torch.Generator], SliceExamples]


@dataclass(frozen=True, eq=False)
class SlicePool:
    """Matrices of many slice geometries, padded with zeros to one size; see `SliceMaps`.

    Attributes:
        A: Shape (N, n_slices, n_voxels).
        consistent_spline: Shape (N, n_voxels, n_slices).
        pinv: Shape (N, n_voxels, n_slices).
        null: Shape (N, n_voxels, n_voxels).
        slices: Rows of slice geometry, shape (N, 3).
    """

    A: Tensor
    consistent_spline: Tensor
    pinv: Tensor
    null: Tensor
    slices: Tensor


def make_pool(
    config: DegradationConfig, n_voxels: int, device: torch.device, n: int = N_GEOMETRIES
) -> SlicePool:
    """Draw slice geometries and build their matrices.

    Args:
        config: Which slices are drawn.
        n_voxels: Length of a patch across the slices.
        device: Where the matrices are needed.
        n: How many geometries.
    """
    generator = torch.Generator().manual_seed(POOL_SEED)
    maps: list[SliceMaps] = []
    rows: list[Tensor] = []
    while len(maps) < n:
        geometry, profile = draw_geometry(config, generator), draw_profile(generator)
        found = slice_maps(geometry, profile, n_voxels)
        if len(found.A) >= LEAST_SLICES:
            maps.append(found)
            rows.append(geometry.as_tensor())
    most = max(len(one.A) for one in maps)
    return SlicePool(
        torch.stack([_padded(one.A, 0, most) for one in maps]).to(device),
        torch.stack([_padded(one.consistent_spline, 1, most) for one in maps]).to(device),
        torch.stack([_padded(one.pinv, 1, most) for one in maps]).to(device),
        torch.stack([one.null for one in maps]).to(device),
        torch.stack(rows).to(device),
    )


def measured(
    truth: Tensor, pool: SlicePool, config: DegradationConfig, generator: torch.Generator
) -> SliceExamples:
    """Degrade a batch, each patch by slices of its own.

    Args:
        truth: Sharp patches, shape (N, X, Y, Z), on the pool's device.
        pool: Slice geometries.
        config: Share and size of noise.
        generator: Source of randomness on the device.
    """
    n, device = len(truth), truth.device
    pick = torch.randint(len(pool.A), (n,), generator=generator, device=device)
    y = torch.einsum("bxyk,bsk->bxys", truth, pool.A[pick])
    is_noisy = contrast.uniform(n, 0.0, 1.0, generator) < config.noisy
    sigma = contrast.uniform(n, 0.0, config.max_noise, generator) * is_noisy
    real, imaginary = torch.randn((2, *y.shape), generator=generator, device=device)
    y = torch.where(sigma > 0.0, torch.hypot(y + sigma * real, sigma * imaginary), y)
    return SliceExamples(
        truth=truth[:, None],
        start=torch.einsum("bxys,bks->bxyk", y, pool.consistent_spline[pick])[:, None],
        slices=pool.slices[pick],
        null=pool.null[pick],
        measured=torch.einsum("bxys,bks->bxyk", y, pool.pinv[pick])[:, None],
        noise=sigma.flatten(),
    )


def batches_on(scans: Sequence[TrainingScan], config: PatchConfig, device: torch.device) -> Draw:
    """Return what draws batches on a device: there if it is a GPU, patch by patch if it is none.

    Args:
        scans: What to train on.
        config: What patches look like.
        device: Where they are needed.
    """
    if device.type == "cpu":
        return lambda generator: draw_batch(list(scans), config, generator)
    return made_on_device(scans, config, device)


def made_on_device(
    scans: Sequence[TrainingScan], config: PatchConfig, device: torch.device
) -> Draw:
    """Return what makes batches wholly on a device, the processor included."""
    volumes = [to_device(scan, device) for scan in scans]
    pool = make_pool(config.degradation, config.shape[-1], device)
    there = torch.Generator(device)

    def draw(generator: torch.Generator) -> SliceExamples:
        # the state of one generator is all that a checkpoint has to keep
        there.manual_seed(integer(LARGEST_SEED, generator))
        images, labels = cut_patches(volumes, config, generator)
        made = []
        if len(images):
            made.append(contrast.vary_contrast(images, there))
        if len(labels):
            made.append(contrast.paint(labels, config.contrast, there, generator))
        return measured(torch.cat(made), pool, config.degradation, there)

    return draw


def _padded(matrix: Tensor, axis: int, length: int) -> Tensor:
    """Fill a matrix with zeros to a length along an axis."""
    shape = list(matrix.shape)
    shape[axis] = length
    whole = matrix.new_zeros(shape)
    whole.narrow(axis, 0, matrix.shape[axis]).copy_(matrix)
    return whole
