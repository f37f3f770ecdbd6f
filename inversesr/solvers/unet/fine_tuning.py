"""Fine-tunes the U-Net on the scan itself, which is sharp within its slices.

    truth = patch of the network's own result, a sharp axis last;   slices = A truth + noise

What thick slices lost across them is still there within them. A few steps on patches of the scan
itself, turned so that a sharp axis takes the place of the slice axis and thickened as the scan
was, fit the network to this person, contrast and scanner.

Reference: Zhao, Dewey, Pham, Calabresi, Reich, Prince (2021), SMORE: a self-supervised
anti-aliasing and super-resolution algorithm for MRI using deep learning, IEEE Transactions on
Medical Imaging 40(3), doi:10.1109/TMI.2020.3037187.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from inversesr import parallel
from inversesr.priors.networks.build import fast_dtype
from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.priors.networks.tiling import MULTIPLE
from inversesr.priors.networks.unet import SuperResolutionUNet
from inversesr.priors.slice_examples import SliceExamples, collate, consistent_error, make_example

# lengths of a patch, the degraded axis last, and patches in a step
PATCH, N_PATCHES = (48, 48, 64), 4
# patches in a piece of work
PIECE = 2
# An image shorter than this along an axis has too few slices to learn from.
LEAST_LENGTH = 32
# Patches with less tissue than this teach little; so many places are tried.
LEAST_TISSUE, TISSUE, N_TRIES = 0.3, 0.05, 8
LEARNING_RATE, N_WARM_UP, BETAS = 4e-4, 10, (0.9, 0.99)
LARGEST_GRADIENT = 1.0
CHARBONNIER, GRADIENT_WEIGHT = 0.1, 0.25
Gradient = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Slicing:
    """How slices are made of the sharp image.

    Attributes:
        geometry: Thickness and spacing in voxels; where they begin is drawn anew for each patch.
        profile: Name of the slice profile.
        sigma: Standard deviation of the slices' noise, in intensities of the image.
        sharp_axes: Axes along which the image is sharp; never the last.
    """

    geometry: SliceGeometry
    profile: str
    sigma: float
    sharp_axes: tuple[int, ...]


def can_adapt(shape: torch.Size, slicing: Slicing) -> bool:
    """Whether there is enough of an image to learn from, and a sharp axis in it."""
    return bool(slicing.sharp_axes) and min(shape) >= LEAST_LENGTH


def adapt(
    net: SuperResolutionUNet,
    image: torch.Tensor,
    slicing: Slicing,
    n_steps: int,
    generator: torch.Generator,
    progress: Callable[[int, int], None],
) -> SuperResolutionUNet:
    """Return a copy of a network that was trained further on one image.

    Args:
        net: Trained network.
        image: The scan as the network restores it, shape (X, Y, Z), intensities near [0, 1],
            thick slices along Z.
        slicing: How the scan was made.
        n_steps: Steps of Adam.
        generator: Source of patches and noise.
        progress: Called after every step with the number of steps done and of all.
    """
    pupil = copy.deepcopy(net).requires_grad_(requires_grad=True)
    optimiser = torch.optim.Adam(pupil.parameters(), LEARNING_RATE, BETAS)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda n: annealed(n, n_steps))
    # patches are drawn and thickened on the processor, wherever the network is
    source = image.cpu()

    def step(gradients: list[Gradient]) -> None:
        set_gradient(pupil, gradients)
        nn.utils.clip_grad_norm_(pupil.parameters(), LARGEST_GRADIENT)
        optimiser.step()
        rate.step()

    def draw(_step: int) -> list[SliceExamples]:
        return [draw_example(source, slicing, generator) for _ in range(N_PATCHES)]

    for n in range(n_steps):
        # sums are rounded otherwise by several threads: all is done by one, or piece by piece
        (drawn,) = parallel.each(draw, [n])
        parallel.each(step, [find_gradients(pupil, drawn, image.device)])
        progress(n + 1, n_steps)
    return pupil.requires_grad_(requires_grad=False)


def find_gradients(
    net: SuperResolutionUNet, drawn: list[SliceExamples], device: torch.device
) -> list[Gradient]:
    """Return the gradients of the mean losses of pieces of some patches, one for every weight.

    A GPU takes all patches at once; on the processor two of them are a piece of work: with one
    patch a piece, two fifths more time would go into gradients of the coarsest weights.
    """
    weights = list(net.parameters())
    dtype = fast_dtype(device)

    def gradient(batch: SliceExamples) -> Gradient:
        with torch.enable_grad():
            # a weight enters once: its copy in the other type is not kept, nor shared by threads
            with torch.autocast(
                device.type, dtype, enabled=dtype != torch.float32, cache_enabled=False
            ):
                x = net(batch.start, batch.slices, batch.noise)
            loss = consistent_error(x, batch, CHARBONNIER, GRADIENT_WEIGHT)
            return torch.autograd.grad(loss, weights)

    if device.type != "cpu":
        return [gradient(collate(drawn).to(device))]
    pieces = [collate(drawn[n : n + PIECE]) for n in range(0, len(drawn), PIECE)]
    return parallel.each(gradient, pieces)


def set_gradient(net: SuperResolutionUNet, gradients: list[Gradient]) -> None:
    """Give every weight the mean of its gradients, in the order of the pieces."""
    for weight, first, *others in zip(net.parameters(), *gradients, strict=True):
        for other in others:
            first += other
        weight.grad = first.div_(len(gradients))


def annealed(n: int, n_steps: int) -> float:
    """Return the share of the learning rate at a step: a short rise, then half a cosine."""
    return min(1.0, (n + 1) / N_WARM_UP) * (1.0 + math.cos(math.pi * n / n_steps)) / 2.0


def draw_example(
    image: torch.Tensor, slicing: Slicing, generator: torch.Generator
) -> SliceExamples:
    """Cut a patch with a sharp axis last, mirrored at random, and thicken its slices."""
    turned, mirrored = turn(image, slicing.sharp_axes, generator)
    patch = cut(turned, mirrored, generator)
    for _ in range(N_TRIES):
        if float((patch > TISSUE).float().mean()) >= LEAST_TISSUE:
            break
        patch = cut(turned, mirrored, generator)
    spacing = slicing.geometry.spacing
    # half of the stacks begin at a voxel's edge, as many real ones do
    is_aligned = float(torch.rand((), generator=generator)) < 0.5
    first = spacing * float(torch.rand((), generator=generator)) - 0.5
    first = (spacing - 1.0) / 2.0 if is_aligned else first
    geometry = SliceGeometry(slicing.geometry.thickness, spacing, first)
    return make_example(patch, geometry, slicing.profile, slicing.sigma, generator)


def turn(
    image: torch.Tensor, sharp_axes: tuple[int, ...], generator: torch.Generator
) -> tuple[torch.Tensor, list[int]]:
    """Return a view with a sharp axis last and the other two in any order, and axes to mirror."""
    drawn = torch.randint(len(sharp_axes), (), generator=generator)
    turned = image.movedim(sharp_axes[int(drawn)], -1)
    swap, *mirror = (torch.rand(4, generator=generator) < 0.5).tolist()
    turned = turned.transpose(0, 1) if swap else turned
    return turned, [axis for axis in range(3) if mirror[axis]]


def cut(image: torch.Tensor, mirrored: list[int], generator: torch.Generator) -> torch.Tensor:
    """Cut a patch at a random place, its lengths multiples of 8 that fit whichever way it lies.

    Only the patch is mirrored: to mirror the image each time would take longer than a step.
    """
    longest = min(image.shape) // MULTIPLE * MULTIPLE
    lengths = [min(m, longest) for m in PATCH]
    room = [n - m for n, m in zip(image.shape, lengths, strict=True)]
    corner = [int(torch.randint(n + 1, (), generator=generator)) for n in room]
    starts = [room[a] - corner[a] if a in mirrored else corner[a] for a in range(3)]
    patch = image[tuple(slice(s, s + m) for s, m in zip(starts, lengths, strict=True))]
    return patch.flip(mirrored)
