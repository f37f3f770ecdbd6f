"""A latent diffusion model as a prior: images x = D(z), latents z from a denoised chain.

Every number that differs between priors comes from `prior.json`; see docs/reference/prior-card.md.

Reference: Rombach, Blattmann, Lorenz, Esser, Ommer (2022), High-resolution image synthesis with
latent diffusion models, arXiv:2112.10752.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from inversesr.errors import InputError
from inversesr.priors.card import PriorCard, grid_of
from inversesr.priors.denoiser_inputs import (
    Known,
    denoiser_inputs,
    scaled_variables,
    unconditional,
)
from inversesr.priors.latent_padding import crop_latent, pad_latent, padded_shape
from inversesr.priors.networks.block_autoencoder import BlockAutoencoder
from inversesr.priors.networks.lean_autograd import lean_copy
from inversesr.priors.networks.local_autoencoder import (
    LocalAutoencoder,
    decode_whole,
    encode_whole,
)
from inversesr.priors.networks.slabs import DEFAULT_SLAB_VOXELS, decode_in_slabs, encode_in_slabs
from inversesr.priors.samplers import ddim, timestep_path
from inversesr.priors.schedule import Schedule, clean_from_output
from inversesr.volume import Grid


@dataclass(frozen=True, eq=False)
class LatentDiffusionPrior:
    """Autoencoder and denoiser of one `prior.json`, ready to compute.

    Attributes:
        card: Content of `prior.json`.
        grid: Where images lie.
        autoencoder: MONAI's AutoencoderKL or one of the project's own, frozen.
        denoiser: MONAI's DiffusionModelUNet or LocalDenoiser, frozen, or None without one.
        schedule: Noise levels, or None without a denoiser.
        dtype: Type in which the networks compute; what goes in and comes out is float32.
        gradients: "lean" keeps least memory; "stock" is plain autograd, to compare with.
        guidance: Weight of classifier-free guidance; 1 uses the condition as it is.
        slab_voxels: About how many voxels are in work at a time without a gradient.
    """

    card: PriorCard
    grid: Grid
    autoencoder: nn.Module
    denoiser: nn.Module | None
    schedule: Schedule | None
    dtype: torch.dtype = torch.float32
    gradients: Literal["lean", "stock"] = "lean"
    guidance: float = 1.0
    slab_voxels: int = DEFAULT_SLAB_VOXELS

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of a latent, (channels, X / factor, Y / factor, Z / factor), padded if need be."""
        return padded_shape(self.card.latent, self.grid.shape)

    @property
    def device(self) -> torch.device:
        """Device on which the networks are."""
        return next(self.autoencoder.parameters()).device

    def on_shape(self, shape: tuple[int, int, int]) -> "LatentDiffusionPrior":
        """Return the same free prior for images of another shape.

        Raises:
            InputError: the prior's grid is fixed, or the shape is no multiple of its factor.
        """
        if self.card.grid.kind == "fixed":
            message = (
                f"prior {self.card.name!r} has the fixed grid {self.grid.shape}: resample to it"
            )
            raise InputError(message)
        return replace(self, grid=grid_of(self.card, shape))

    def encode(self, x: Tensor) -> Tensor:
        """Return the latent of an image.

        Args:
            x: Image in [0, 1], shape grid.shape. Differentiable when it requires a gradient.

        Returns:
            Mean of the latent, shape latent_shape, float32.

        Raises:
            InputError: the prior has no encoder.
        """
        if not self.card.latent.has_encoder:
            message = (
                f"prior {self.card.name!r} has a decoder but no encoder; this needs one: "
                "import a checkpoint of the whole autoencoder"
            )
            raise InputError(message)
        intensity = self.card.intensity
        width = intensity.network_high - intensity.network_low
        seen = (intensity.network_low + width * x.float())[None, None]
        z: Tensor
        if _wants_gradient(x):
            z = self._differentiable(self._lean_autoencoder, self.autoencoder, "encode", seen)[0]
        else:
            z = self._encode_frozen(seen)
        scale, shift = self._latent_map(z.device)
        return pad_latent(z[0].float() * scale + shift, self.latent_shape)

    def decode(self, z: Tensor) -> Tensor:
        """Return the image of a latent.

        Args:
            z: Latent, shape latent_shape. Differentiable when it requires a gradient.

        Returns:
            Image, nominally in [0, 1], shape grid.shape, float32.
        """
        scale, shift = self._latent_map(z.device)
        inner = crop_latent(z.float(), self.card.latent, self.grid.shape)
        seen = ((inner - shift) / scale)[None]
        x: Tensor
        if _wants_gradient(z):
            x = self._differentiable(self._lean_autoencoder, self.autoencoder, "decode", seen)
        else:
            x = self._decode_frozen(seen)
        intensity = self.card.intensity
        width = intensity.network_high - intensity.network_low
        return (x[0, 0].float() - intensity.network_low) / width

    def context(self, values: Mapping[str, float] | None = None) -> Tensor:
        """Scale conditioning variables to what the denoiser sees.

        Args:
            values: Known variables in their natural units; the others take their defaults.

        Returns:
            Scaled variables in the order of `prior.json`, shape (n_variables,).

        Raises:
            InputError: a variable is unknown or out of range.
        """
        return scaled_variables(self.card, values, self.device)

    def denoise(self, z_t: Tensor, t: int, context: Tensor | None = None) -> Tensor:
        """Return the clean latent expected from the noisy one.

        Args:
            z_t: Noisy latent, shape latent_shape.
            t: Timestep.
            context: Scaled variables, see `context`; None takes the defaults. Differentiable.

        Returns:
            Clean latent, shape latent_shape, float32.
        """
        output = self.predict(z_t, t, context)
        return clean_from_output(self._schedule, output, z_t.float(), t)

    def predict(self, z_t: Tensor, t: int, context: Tensor | None = None) -> Tensor:
        """Return what the denoiser predicts (noise, v, clean latent or flow), guided if asked.

        Reference: Ho, Salimans (2022), Classifier-free diffusion guidance, arXiv:2207.12598.

        Raises:
            InputError: guidance was asked for, but the prior was not trained for it.
        """
        seen = self.context() if context is None else context
        output = self._network_output(z_t, t, seen, self.card.conditioning.class_label)
        if self.guidance == 1.0:
            return output
        null, null_class = unconditional(self.card, seen, self.guidance)
        without = self._network_output(z_t, t, null, null_class)
        return without + self.guidance * (output - without)

    def sample(
        self,
        n_steps: int,
        generator: torch.Generator,
        context: Tensor | None = None,
        spacing: str | None = None,
        eta: float = 0.0,
    ) -> Tensor:
        """Draw a latent from the prior by DDIM.

        Args:
            n_steps: Number of denoiser calls.
            generator: Source of randomness.
            context: See `denoise`.
            spacing: Timestep spacing; None takes that of `prior.json`.
            eta: 0 is deterministic after the first noise.

        Returns:
            A latent, shape latent_shape, for `decode`.
        """
        n_voxels = torch.Size(self.latent_shape[1:]).numel()
        path = timestep_path(self._schedule, n_steps, spacing, n_voxels)
        noise = torch.randn(self.latent_shape, generator=generator, device=generator.device)

        def denoise(z_t: Tensor, t: int) -> Tensor:
            return self.denoise(z_t, t, context)

        return ddim(self._schedule, denoise, noise.to(self.device), path, eta, generator)

    def _latent_map(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return scale and shift from the encoder's mean to a latent, shape (C or 1, 1, 1, 1)."""
        latent = self.card.latent
        scale, shift = torch.tensor([latent.scale]), torch.zeros(1)
        if latent.whitened:
            std = torch.tensor(latent.std)
            scale, shift = scale / std, -torch.tensor(latent.mean) / std
        shape = (-1, 1, 1, 1)
        return scale.reshape(shape).to(device), shift.reshape(shape).to(device)

    def _encode_frozen(self, x: Tensor) -> Tensor:
        """Encode without a gradient, in bounded memory."""
        if isinstance(self.autoencoder, LocalAutoencoder):
            return encode_whole(self.autoencoder, x)
        if isinstance(self.autoencoder, BlockAutoencoder):
            with torch.no_grad():
                return self.autoencoder.encode(x)[0]
        return encode_in_slabs(self.autoencoder, x, self.slab_voxels)

    def _decode_frozen(self, z: Tensor) -> Tensor:
        """Decode without a gradient, in bounded memory."""
        if isinstance(self.autoencoder, LocalAutoencoder):
            return decode_whole(self.autoencoder, z)
        if isinstance(self.autoencoder, BlockAutoencoder):
            with torch.no_grad():
                return self.autoencoder.decode(z)
        return decode_in_slabs(self.autoencoder, z, self.slab_voxels)

    @property
    def _schedule(self) -> Schedule:
        """Return the schedule, which every prior with a denoiser has."""
        if self.schedule is None:
            message = f"prior {self.card.name!r} has no denoiser; this needs one"
            raise InputError(message)
        return self.schedule

    def _network_output(self, z_t: Tensor, t: int, context: Tensor, label: int | None) -> Tensor:
        """Call the denoiser once."""
        if self.denoiser is None:
            message = f"prior {self.card.name!r} has no denoiser; this needs one"
            raise InputError(message)
        known = Known(context, label, self.grid.spacing_mm)
        seen, arguments = denoiser_inputs(self.card.conditioning, z_t, t, known, self.dtype)
        if _wants_gradient(z_t) or _wants_gradient(context):
            lean = self.gradients == "lean"
            network = self._lean_denoiser if lean else self.denoiser
            return network(seen, **arguments)[0].float()  # type: ignore[no-any-return]
        with torch.no_grad():
            return self.denoiser(seen, **arguments)[0].float()  # type: ignore[no-any-return]

    def _differentiable(
        self, lean: nn.Module, stock: nn.Module, method: str, argument: Tensor
    ) -> Any:  # noqa: ANN401  (encode returns two tensors, decode one)
        """Call a method of the network whose gradient is wanted."""
        if self.gradients == "lean":
            return getattr(lean, method)(argument)
        mixed = self.dtype != torch.float32
        with torch.autocast(argument.device.type, dtype=torch.bfloat16, enabled=mixed):
            return getattr(stock, method)(argument)

    @cached_property
    def _lean_autoencoder(self) -> nn.Module:
        """The autoencoder with memory-lean gradients; it shares the weights."""
        return lean_copy(self.autoencoder)

    @cached_property
    def _lean_denoiser(self) -> nn.Module:
        """The denoiser with memory-lean gradients; it shares the weights."""
        return lean_copy(self.denoiser or nn.Identity())


def _wants_gradient(tensor: Tensor) -> bool:
    """Whether the caller will differentiate with respect to a tensor."""
    return torch.is_grad_enabled() and tensor.requires_grad
