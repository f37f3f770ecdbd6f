"""The conditional denoiser on a block of a scan, opened at its bottleneck.

    D = up(h, ...),      h = down(...) the features of the coarsest level ("h-space")

A shift of h has its shape, in units of how much each channel varies over the block. What it
changes in the image is projected on what no slice shows.

Reference: Kwon, Jeong, Uh (2023), Diffusion models already have a semantic latent space,
arXiv:2210.10960.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch

from inversesr.measurements.consistency import make_consistent
from inversesr.measurements.slices import Task
from inversesr.operators.proximal import project
from inversesr.operators.separable import Array, SeparableOperator
from inversesr.priors.networks.conditional_denoiser import RESIDUAL_SD, ConditionalDenoiser
from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.priors.networks.tiling import MULTIPLE, crop, pad
from inversesr.priors.networks.unet_inference import white_level
from inversesr.priors.residual_diffusion import draw_residual, noise_levels
from inversesr.solvers.unet.slices import Slices, average, describe_slices, spread

# Longest side of a block, in voxels of the network.
LONGEST_SIDE = 64
MARGIN = 8
# Noise under which the bottleneck is looked at: as large as what it hides.
LEVEL = RESIDUAL_SD
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Block:
    """Part of a scan as the network sees it, slices along the last axis.

    Attributes:
        task: The whole scan, its air at zero.
        box: Where the part lies in the volume of the network.
        start: s there, in intensities near [0, 1], shape (X, Y, Z).
        white: Intensity of the scan that counts as one.
        geometry: How the slices lie in the part.
        sigma: Standard deviation of the scan's noise there, in those intensities.
        unseen: Removes what the slices show from an image of the part.
    """

    task: Task
    box: Box
    start: torch.Tensor
    white: float
    geometry: SliceGeometry
    sigma: float
    unseen: Callable[[torch.Tensor], torch.Tensor]

    def in_scan(self, change: torch.Tensor) -> torch.Tensor:
        """Return a change of the part as one of the whole image that no datum depends on.

        Args:
            change: In intensities near [0, 1], shape of `start`.

        Returns:
            In the intensities of the scan, shape task.fine.shape.
        """
        fine = self.white * self.placed(change)
        return project(self.task.A, fine, torch.zeros_like(self.task.y)).x

    def placed(self, part: torch.Tensor) -> torch.Tensor:
        """Return an image of the part on the fine grid, zero elsewhere."""
        slices = self.slices
        shape = self.task.x0.movedim(slices.axis, -1).shape
        whole = part.new_zeros([-(-a // g) for a, g in zip(shape, slices.groups, strict=True)])
        whole[self.box] = part
        fine = spread(whole, slices, shape)
        return fine.movedim(-1, slices.axis).contiguous()

    def inside(self, mask: torch.Tensor) -> torch.Tensor:
        """Return a mask of the fine grid on the voxels of the part, 0 to 1."""
        across = mask.movedim(self.slices.axis, -1).contiguous()
        return average(across, self.slices.groups)[self.box]

    def interior(self) -> torch.Tensor:
        """Return 1 inside the part and 0 within `MARGIN` voxels of its faces."""
        found = torch.zeros_like(self.start)
        margins = [min(MARGIN, n // 4) for n in self.start.shape]
        inner = [slice(m, n - m) for m, n in zip(margins, self.start.shape, strict=True)]
        found[tuple(inner)] = 1.0
        return found

    @cached_property
    def slices(self) -> Slices:
        """How the slices lie on the fine grid."""
        return describe_slices(self.task.scan_grid, self.task.fine, self.task.acquisition)


def make_block(task: Task, brain: torch.Tensor, longest: int = LONGEST_SIDE) -> Block:
    """Cut the part about the middle of the brain out of a scan.

    Args:
        task: The scan, its air at zero.
        brain: The brain on the fine grid, 0 to 1.
        longest: Longest side of the part in voxels of the network.
    """
    slices = describe_slices(task.scan_grid, task.fine, task.acquisition)
    consistent = make_consistent(task.A, task.x0, task.y, 0.0).movedim(slices.axis, -1)
    seen = average(consistent.contiguous(), slices.groups)
    inside = average(brain.movedim(slices.axis, -1).contiguous(), slices.groups)
    box = central_box(inside > 0.5, longest)
    white = float(white_level(seen))
    first = slices.geometry.first_centre - box[2].start
    geometry = SliceGeometry(slices.geometry.thickness, slices.geometry.spacing, first)
    sigma = task.sigma / white / (slices.group[0] * slices.group[1]) ** 0.5
    start = (seen[box] / white).contiguous()
    return Block(task, box, start, white, geometry, sigma, _unseen(slices.matrix(task.A), box))


def central_box(inside: torch.Tensor, longest: int) -> Box:
    """Return the box about the middle of a region, at most `longest` voxels a side.

    Args:
        inside: The region; an empty one counts as the whole.
        longest: Longest side.
    """
    found = inside.nonzero() if bool(inside.any()) else torch.ones_like(inside).nonzero()
    sides = []
    for axis, n in enumerate(inside.shape):
        low, high = (int(v) for v in torch.aminmax(found[:, axis]))
        # all three axes of the network are halved three times
        size = min(longest, high + 1 - low + (-(high + 1 - low)) % MULTIPLE, n)
        start = min(max((low + high + 1 - size) // 2, 0), n - size)
        sides.append(slice(start, start + size))
    return (sides[0], sides[1], sides[2])


def _unseen(across: Array, box: Box) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the projection on what the slices do not show of a part of their axis."""
    part = across[:, box[2]]
    part = part[abs(part).sum(axis=1) > 0.5]  # slices that lie mostly in the part
    shape = tuple(side.stop - side.start for side in box)
    B = SeparableOperator(shape, (None, None, part))
    nothing = torch.zeros(B.out_shape)

    def unseen(v: torch.Tensor) -> torch.Tensor:
        return project(B, v, nothing.to(v)).x

    return unseen


@dataclass(frozen=True, eq=False)
class Opened:
    """The denoiser of a block.

    Attributes:
        net: The network.
        block: Part of a scan.
    """

    net: ConditionalDenoiser
    block: Block

    def denoise(self, r: torch.Tensor, level: float) -> torch.Tensor:
        """Return the mean of the residual, shape of the block."""
        with torch.no_grad():
            found = self.net.denoise(pad(self.block.start), *self._told(r, level))
        return crop(found[0, 0], self.block.start.shape)

    def sample(self, n_steps: int, generator: torch.Generator) -> torch.Tensor:
        """Draw what the slices do not show, shape of the block; its unseen part alone."""
        noise = torch.randn(self.block.start.shape, generator=generator).to(self.block.start)
        r = draw_residual(self.denoise, self.block.unseen, noise, noise_levels(n_steps))
        return self.block.unseen(r)

    def at(self, r: torch.Tensor, level: float = LEVEL) -> "Bottleneck":
        """Run the network up to its bottleneck.

        Args:
            r: Noisy residual, shape of the block.
            level: Its noise.
        """
        told = self._told(r, level)
        with torch.no_grad():
            features, embedding = self.net.enter(pad(self.block.start), *told)
            h, skipped = self.net.down(features, embedding)
        return Bottleneck(self, h, tuple(skipped), embedding, (told[1], told[2]))

    def _told(self, r: torch.Tensor, level: float) -> tuple[torch.Tensor, ...]:
        """Return what the network is told beside s."""
        start, geometry = self.block.start, self.block.geometry.as_tensor()[None]
        numbers = (torch.tensor([value]).to(start) for value in (level, self.block.sigma))
        return (geometry.to(start), pad(r), *numbers)


@dataclass(frozen=True, eq=False)
class Bottleneck:
    """A run of the network, halted at its bottleneck.

    Attributes:
        opened: The network and the block.
        h: Features there, shape (1, C, X / 8, Y / 8, Z / 8).
        skipped: Features kept on the way down.
        embedding: What the network was told of slices and noise.
        noisy: The noisy residual and its noise, as the network takes them.
    """

    opened: Opened
    h: torch.Tensor
    skipped: tuple[torch.Tensor, ...]
    embedding: torch.Tensor
    noisy: tuple[torch.Tensor, torch.Tensor]

    @cached_property
    def units(self) -> torch.Tensor:
        """How much each channel varies over the block, shape (C, 1, 1, 1), above 0."""
        return self.h[0].flatten(1).std(dim=1).clamp(min=1e-6)[:, None, None, None]

    @property
    def features(self) -> torch.Tensor:
        """Features in `units`, shape (C, X / 8, Y / 8, Z / 8)."""
        return self.h[0] / self.units

    def reconstruct(self, shift: torch.Tensor | None = None) -> torch.Tensor:
        """Return the mean of the residual with h shifted, as far as no slice shows it.

        Gradients are recorded where the shift asks for them.

        Args:
            shift: What is added to h, in `units`, shape of `features`.
        """
        block, h = self.opened.block, self.h
        if shift is not None:
            h = h + (shift.to(h) * self.units)[None]
        with torch.set_grad_enabled(h.requires_grad):
            change = self.opened.net.up(h, list(self.skipped), self.embedding)
            found = self.opened.net.leave(change, *self.noisy)
        return block.unseen(crop(found[0, 0], block.start.shape))
