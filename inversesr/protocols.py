"""What solvers return; see `operators.protocol` and `priors.protocol` for what they are given."""

from dataclasses import dataclass, field
from typing import Any

import torch

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver found. Not converging is a result, not an exception.

    Attributes:
        x: The image on the fine grid, shape A.in_shape, in the units of y.
        status: "converged", "closed form" or "stopped after N steps".
        n_steps: Iterations done.
        history: Figures by iteration, such as {"residual_rms": [...]}.
        z: Latent behind x, for solvers with a prior; one a sample where samples were drawn.
        samples: Images drawn from the posterior, shape (n, *A.in_shape), or None.
        facts: What else was found, such as conditioning variables in their natural units.
        prior_mask: Where a prior spoke, 0 to 1, shape A.in_shape; None without a prior.
        notes: What a reader should know before trusting the image, in sentences.
        surprise: How far the prior's best fit misses the scan, in standard deviations, likewise.
        unprotected: The image before anything in it was protected from the prior, or None.
        thickness_factor: Factor of the slice thickness that was found to explain the scan best.
        sd: Standard deviation of the error of x once it is consistent, as a network expects it.
        solver: Name of the solver that made x, where it is another one than was asked for.
    """

    x: torch.Tensor
    status: str
    n_steps: int
    history: dict[str, list[float]] = field(default_factory=dict)
    z: torch.Tensor | None = None
    samples: torch.Tensor | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    prior_mask: torch.Tensor | None = None
    notes: tuple[str, ...] = ()
    surprise: torch.Tensor | None = None
    unprotected: torch.Tensor | None = None
    thickness_factor: float = 1.0
    sd: torch.Tensor | None = None
    solver: str = ""
