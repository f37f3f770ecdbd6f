"""Wavelets of Daubechies with four vanishing moments, along any axes: an isometry, W' W = 1.

Images are padded with zeros to a multiple of 2^n_levels. The coefficients of all levels lie in one
tensor of the padded shape, the coarsest first along every axis.

Reference: Daubechies (1988), Orthonormal bases of compactly supported wavelets, Communications on
Pure and Applied Mathematics 41(7):909-996, doi:10.1002/cpa.3160410705.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

from inversesr.operators.compose import Algebra
from inversesr.operators.spectrum import Spectrum
from inversesr.protocols import Shape

LOW = (
    0.23037781330885523, 0.7148465705525415, 0.6308807679295904, -0.02798376941698385,
    -0.18703481171888114, 0.030841381835986965, 0.032883011666982945, -0.010597401784997278,
)  # fmt: skip
HIGH = tuple((-1) ** k * LOW[len(LOW) - 1 - k] for k in range(len(LOW)))


@dataclass(frozen=True)
class Wavelet(Algebra):
    """The periodic wavelet transform of real or complex images.

    Attributes:
        in_shape: Shape of the image.
        axes: Axes to transform, counted from the end.
        n_levels: How often averages are split again.
    """

    in_shape: Shape
    axes: tuple[int, ...] = (-2, -1)
    n_levels: int = 4

    @property
    def out_shape(self) -> Shape:
        """Shape of the coefficients."""
        sides, multiple = list(self.in_shape), 2**self.n_levels
        for axis in self.axes:
            sides[axis] = -(-sides[axis] // multiple) * multiple
        return tuple(sides)

    @property
    def spectrum(self) -> Spectrum:
        """W' W = 1."""
        return Spectrum(torch.ones((1,) * len(self.in_shape)).double(), of_image=True)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the coefficients of an image."""
        padding = [
            amount
            for n, m in zip(reversed(self.in_shape), reversed(self.out_shape), strict=True)
            for amount in (0, m - n)
        ]
        c = functional.pad(x, padding)
        for level in range(self.n_levels):
            part = self._coarse(level)
            block = c[part]
            for axis in self.axes:
                block = split(block, axis)
            c = c.clone() if level == 0 else c
            c[part] = block
        return c

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Return the image of coefficients, without what was padded."""
        x = y.clone()
        for level in reversed(range(self.n_levels)):
            part = self._coarse(level)
            block = x[part]
            for axis in reversed(self.axes):
                block = join(block, axis)
            x[part] = block
        return x[tuple(slice(0, n) for n in self.in_shape)]

    def _coarse(self, level: int) -> tuple[slice, ...]:
        """Return where the averages lie that a level splits."""
        sides = list(self.out_shape)
        for axis in self.axes:
            sides[axis] //= 2**level
        return tuple(slice(0, n) for n in sides)


def split(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Split an axis of even length into averages and details, one after the other."""
    n = x.shape[axis]
    places = (
        2 * torch.arange(n // 2, device=x.device)[:, None]
        + torch.arange(len(LOW), device=x.device)
    ) % n
    windows = x.movedim(axis, -1)[..., places]
    filters = torch.tensor([LOW, HIGH], dtype=x.real.dtype, device=x.device).to(x.dtype)
    found = windows @ filters.T
    return torch.cat([found[..., 0], found[..., 1]], dim=-1).movedim(-1, axis)


def join(c: torch.Tensor, axis: int) -> torch.Tensor:
    """Put averages and details together; the inverse and the adjoint of `split`."""
    c = c.movedim(axis, -1)
    n = c.shape[-1]
    filters = torch.tensor([LOW, HIGH], dtype=c.real.dtype, device=c.device).to(c.dtype)
    halves = torch.stack([c[..., : n // 2], c[..., n // 2 :]], dim=-1)
    # sample 2k + m gets h[m] c[k]: even and odd m are added up apart
    products = halves @ filters
    x = torch.zeros((*c.shape[:-1], n // 2, 2), dtype=c.dtype, device=c.device)
    for m in range(0, len(LOW), 2):
        x = x + products[..., m : m + 2].roll(m // 2, dims=-2)
    return x.reshape(c.shape).movedim(-1, axis)
