"""The inner product of real and of complex tensors: a complex number counts as two real ones.

    <a, b> = Re sum conj(a) b,      |a|^2 = <a, a>

Sums are accumulated in float64. Noise of standard deviation sigma has that deviation in the real
and in the imaginary part, as a scanner's has.
"""

import torch


def parts(a: torch.Tensor) -> torch.Tensor:
    """Return a real tensor as it is, a complex one as pairs, shape (*a.shape, 2); a view."""
    return torch.view_as_real(a.resolve_conj()) if a.is_complex() else a


def inner(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return <a, b> of two tensors of one kind and shape."""
    return float((parts(a) * parts(b)).sum(dtype=torch.float64))


def norm(a: torch.Tensor) -> float:
    """Return |a|."""
    return float(inner(a, a) ** 0.5)


def squared_modulus(a: torch.Tensor) -> torch.Tensor:
    """Return |a|^2 element by element, real, the shape of a; differentiable."""
    return parts(a).square().sum(dim=-1) if a.is_complex() else a.square()


def n_numbers(a: torch.Tensor) -> int:
    """Return how many real numbers a tensor holds."""
    return a.numel() * (2 if a.is_complex() else 1)


def white_noise(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw noise of the shape and kind of a tensor; each real number has variance 1."""
    # a generator draws on its own device only
    drawn = torch.randn(like.shape, generator=generator, device=generator.device, dtype=like.dtype)
    # torch gives a complex number the variance 1, half to each part
    return (drawn * 2.0**0.5 if like.is_complex() else drawn).to(like.device)
