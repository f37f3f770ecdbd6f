"""Operators whose A A', or A' A, is diagonal in a known basis: what its inverse costs nothing for.

    A A' = U diag(lambda) U'      or      A' A = U diag(lambda) U',        U unitary

Offered by the slices of a scan (an eigenbasis an axis), masks, weights, coils and sampled Fourier
transforms. `operators.proximal` takes its closed forms from here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from inversesr.operators.protocol import LinearOperator

Change = Callable[[torch.Tensor], torch.Tensor]

# Directions that A shrinks below this share of its largest gain carry only rounding error: they
# are treated as not measured.
RELATIVE_RANK_TOLERANCE = 1e-8


def unchanged(a: torch.Tensor) -> torch.Tensor:
    """Return the coefficients of a tensor in its own basis."""
    return a


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues of A A' or of A' A, and the unitary change to its eigenbasis.

    Attributes:
        values: lambda, float64, at least 0, broadcastable to the shape of the coefficients.
        analyse: U', from a tensor to its coefficients.
        synthesise: U, from coefficients to the tensor.
        of_image: Whether it is that of A' A, on images, rather than of A A', on data.
    """

    values: torch.Tensor
    analyse: Change = unchanged
    synthesise: Change = unchanged
    of_image: bool = False

    @cached_property
    def inverse_values(self) -> torch.Tensor:
        """1 / lambda where something was measured, else 0."""
        is_measured = self.values > RELATIVE_RANK_TOLERANCE * self.values.max()
        return torch.where(is_measured, 1.0 / self.values.clamp_min(1e-300), 0.0)

    @property
    def condition_number(self) -> float:
        """Largest over smallest eigenvalue."""
        return float(self.values.max() / self.values.min().clamp_min(1e-300))

    def behind(self, into: Change, back: Change) -> "Spectrum":
        """Return the spectrum of Q' (A' A) Q, or of Q (A A') Q', for a unitary Q.

        Args:
            into: From where the new operator lives to where this one does.
            back: The inverse of that.
        """

        def analyse(a: torch.Tensor) -> torch.Tensor:
            return self.analyse(into(a))

        def synthesise(c: torch.Tensor) -> torch.Tensor:
            return back(self.synthesise(c))

        return replace(self, analyse=analyse, synthesise=synthesise)

    def turned_round(self) -> "Spectrum":
        """Return the spectrum that belongs to the adjoint operator."""
        return replace(self, of_image=not self.of_image)


def spectrum_of(operator: LinearOperator) -> Spectrum | None:
    """Return the spectrum that an operator offers, or None."""
    found: Spectrum | None = getattr(operator, "spectrum", None)
    return found
