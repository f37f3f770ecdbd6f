"""A prior that counts its passes, forward and backward: a cost that no machine changes."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from inversesr.errors import InputError
from inversesr.priors.card import VariableCard
from inversesr.priors.latent_diffusion import LatentDiffusionPrior
from inversesr.priors.networks.block_autoencoder import BlockAutoencoder
from inversesr.priors.networks.lean_autograd import lean_copy
from inversesr.priors.networks.local_autoencoder import LocalAutoencoder
from inversesr.priors.networks.shallow_features import features_of
from inversesr.priors.protocol import Prior
from inversesr.priors.schedule import Schedule
from inversesr.protocols import Shape
from inversesr.volume import Grid

# Autoencoders of this kind lose a few hundredths of the range.
UNMEASURED_RMSE = 0.03
Extractor = Callable[[Tensor], tuple[Tensor, ...]]


@dataclass(frozen=True, eq=False)
class InstrumentedPrior:
    """A prior as solvers use it; passes are counted on the way.

    Attributes:
        inner: The prior that does the work.
        noise_levels: Noise levels of its denoiser, or None without one.
        variables: Conditioning variables, in the order in which the denoiser takes them.
        reconstruction_rmse: Error of decoding an encoded image, in [0, 1].
        extract: Image -> perceptual features, or None without any.
        context: Conditioning variables as the denoiser sees them; None takes their defaults.
        counts: Passes so far: "encode", "decode", "denoise", "features", and the same with
            " backward".
    """

    inner: Prior
    noise_levels: Schedule | None
    variables: tuple[VariableCard, ...] = ()
    reconstruction_rmse: float = 0.0
    extract: Extractor | None = None
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
    def schedule(self) -> Schedule:
        """Noise levels of the denoiser.

        Raises:
            InputError: the prior has no denoiser.
        """
        if self.noise_levels is None:
            message = "this prior has no denoiser; this solver needs one: choose another prior"
            raise InputError(message)
        return self.noise_levels

    def encode(self, x: Tensor) -> Tensor:
        """Return the latent of an image."""
        self.counts["encode"] += 1
        return self._watched("encode", self.inner.encode(x))

    def decode(self, z: Tensor) -> Tensor:
        """Return the image of a latent."""
        self.counts["decode"] += 1
        return self._watched("decode", self.inner.decode(z))

    def denoise(self, z_t: Tensor, t: int, context: Tensor | None = None) -> Tensor:
        """Return the clean latent expected from the noisy one."""
        known = self.context if context is None else context
        # before the call: a checkpoint that recomputes it never comes to its end
        self.counts["denoise"] += 1
        return self._watched("denoise", self.inner.denoise(z_t, t, known))

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return perceptual features of an image, shape (channels, X', Y', Z'); () without any."""
        if self.extract is None:
            return ()
        self.counts["features"] += 1
        found = self.extract(x)
        self._watched("features", found[-1])
        return found

    def _watched(self, name: str, result: Tensor) -> Tensor:
        """Count the backward pass through a result when that happens."""
        if result.requires_grad:
            result.register_hook(  # type: ignore[no-untyped-call]
                lambda _gradient: self.counts.update([f"{name} backward"])
            )
        return result


def instrument(prior: LatentDiffusionPrior, context: Tensor | None = None) -> InstrumentedPrior:
    """Wrap a latent diffusion prior for solvers.

    Args:
        prior: The prior.
        context: Known conditioning variables as the denoiser sees them; None takes the defaults.
    """
    measured = prior.card.reconstruction_rmse
    return InstrumentedPrior(
        prior,
        prior.schedule,
        prior.card.conditioning.variables,
        UNMEASURED_RMSE if measured is None else measured,
        _encoder_features(prior) if prior.card.latent.has_encoder else None,
        context,
    )


def _encoder_features(prior: LatentDiffusionPrior) -> Extractor | None:
    """Return what gives the features of a prior's encoder, by its kind of gradients."""
    is_lean, intensity = prior.gradients == "lean", prior.card.intensity
    is_local = isinstance(prior.autoencoder, LocalAutoencoder | BlockAutoencoder)
    network = lean_copy(prior.autoencoder) if is_lean and not is_local else prior.autoencoder
    features = features_of(network)
    if features is None:
        return None
    width = intensity.network_high - intensity.network_low
    mixed = prior.dtype != torch.float32 and not is_lean

    def extract(x: Tensor) -> tuple[Tensor, ...]:
        seen = (intensity.network_low + width * x.float())[None, None]
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=mixed):
            return features(seen)

    return extract
