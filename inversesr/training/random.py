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


def integer(n: int, generator: torch.Generator) -> int:
    """Draw one of 0 .. n - 1."""
    return int(torch.randint(n, (), generator=generator))
