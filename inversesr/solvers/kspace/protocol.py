"""What a method of reconstruction gets and gives."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from inversesr.measurements.kspace import KSpaceMeasurement
from inversesr.priors.installed import OpenPrior

Progress = Callable[[str, int, int], None]


def silent(_phase: str, _done: int, _total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True, eq=False)
class Request:
    """What was decided before.

    Attributes:
        options: Options of the method.
        prior: The prior, for a method that needs one.
        n_samples: Posterior samples that are wanted beside the image.
        seed: Seed of what is drawn.
        progress: Called with phase, steps done and steps in all.
    """

    options: Any
    prior: OpenPrior | None = None
    n_samples: int = 0
    seed: int = 0
    progress: Progress = silent


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What a method found.

    Attributes:
        x: Complex image, shape (X, Y, Z).
        status: How it ended.
        n_steps: Iterations done.
        samples: Posterior samples, each of the shape of x.
    """

    x: Tensor
    status: str
    n_steps: int = 0
    samples: tuple[Tensor, ...] = field(default=())


Reconstruct = Callable[[KSpaceMeasurement, Request], Reconstruction]


class Method(Protocol):
    """A module of this room."""

    METHOD: "Entry"


@dataclass(frozen=True)
class Entry:
    """What a method says of itself.

    Attributes:
        summary: What it does, in a sentence.
        options: Its options class.
        reconstruct: The method.
        role: Role of the network that it needs of a prior, or "".
        draws_samples: Whether it draws posterior samples.
    """

    summary: str
    options: type
    reconstruct: Reconstruct
    role: str = ""
    draws_samples: bool = False
