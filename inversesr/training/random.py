"""Random numbers for training, every one drawn from an explicit generator."""

import torch


def uniform(low: float, high: float, generator: torch.Generator) -> float:
    """Draw a number between low and high."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def normal(generator: torch.Generator) -> float:
    """Draw a standard normal number."""
    return float(torch.randn((), generator=generator))


def happens(probability: float, generator: torch.Generator) -> bool:
    """Toss a coin that shows True with the given probability."""
    return float(torch.rand((), generator=generator)) < probability


def normal_like(tensor: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw standard normal numbers in the shape of a tensor, on its device."""
    if tensor.device.type == "cpu":
        return torch.randn(tensor.shape, generator=generator)
    there = torch.Generator(tensor.device)
    there.manual_seed(integer(2**31, generator))
    return torch.randn(tensor.shape, generator=there, device=tensor.device)


def integer(n: int, generator: torch.Generator) -> int:
    """Draw one of 0 .. n - 1."""
    return int(torch.randint(n, (), generator=generator))
