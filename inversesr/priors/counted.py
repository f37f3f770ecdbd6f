"""A prior that counts its passes, forward and backward: a cost that no machine changes."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from inversesr.errors import InputError
from inversesr.priors.bundle import VariableCard
from inversesr.priors.schedule import Schedule
from inversesr.protocols import Prior, Shape
from inversesr.volume import Grid


class DescribedPrior(Prior, Protocol):
    """A prior that also says what solvers have to know of it."""

    @property
    def schedule(self) -> Schedule | None:
        """Noise levels of the denoiser, or None without one."""
        ...

    @property
    def variables(self) -> tuple[VariableCard, ...]:
        """Conditioning variables."""
        ...

    @property
    def reconstruction_rmse(self) -> float:
        """Error of decoding an encoded image, in [0, 1]."""
        ...

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return perceptual features of an image, none where the prior has none."""
        ...


@dataclass(frozen=True, eq=False)
class CountedPrior:
    """A prior as solvers use it; passes are counted on the way.

    Attributes:
        inner: The prior that does the work.
        context: Conditioning variables as the denoiser sees them; None takes their defaults.
        counts: Passes so far: "encode", "decode", "denoise", "features", and the same with
            " backward".
    """

    inner: DescribedPrior
    context: Tensor | None = None
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def grid(self) -> Grid:
        """Where images lie."""
        return self.inner.grid

    @property
    def latent_shape(self) -> Shape:
        """Shape of a latent."""
        return self.inner.latent_shape

    @property
    def variables(self) -> tuple[VariableCard, ...]:
        """Conditioning variables."""
        return self.inner.variables

    @property
    def reconstruction_rmse(self) -> float:
        """Error of decoding an encoded image, in [0, 1]."""
        return self.inner.reconstruction_rmse

    @property
    def schedule(self) -> Schedule:
        """Noise levels of the denoiser.

        Raises:
            InputError: the prior has no denoiser.
        """
        if self.inner.schedule is None:
            message = "this prior has no denoiser; this solver needs one: choose another prior"
            raise InputError(message)
        return self.inner.schedule

    def encode(self, x: Tensor) -> Tensor:
        """Return the latent of an image."""
        self.counts["encode"] += 1
        return self._watched("encode", self.inner.encode(x))

    def decode(self, z: Tensor) -> Tensor:
        """Return the image of a latent."""
        self.counts["decode"] += 1
        return self._watched("decode", self.inner.decode(z))

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return perceptual features of an image."""
        found = self.inner.features(x)
        if found:
            self.counts["features"] += 1
            self._watched("features", found[-1])
        return found

    def denoise(self, z_t: Tensor, t: int, context: Tensor | None = None) -> Tensor:
        """Return the clean latent expected from the noisy one."""
        known = self.context if context is None else context
        # before the call: a checkpoint that recomputes it never comes to its end
        self.counts["denoise"] += 1
        return self._watched("denoise", self.inner.denoise(z_t, t, known))

    def _watched(self, name: str, result: Tensor) -> Tensor:
        """Count the backward pass through a result when that happens."""
        if result.requires_grad:
            result.register_hook(  # type: ignore[no-untyped-call]
                lambda _gradient: self.counts.update([f"{name} backward"])
            )
        return result
