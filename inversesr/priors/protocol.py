"""What a prior must offer: a generative model of images x with latents z."""

from typing import Protocol

import torch

from inversesr.protocols import Shape
from inversesr.volume import Grid


class Prior(Protocol):
    """A generative model of the brain: images x, latents z.

    Images are (X, Y, Z) tensors with intensities in [0, 1]; latents have shape latent_shape.
    """

    @property
    def grid(self) -> Grid:
        """Where images lie."""
        ...

    @property
    def latent_shape(self) -> Shape:
        """Shape of a latent."""
        ...

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the latent of an image."""
        ...

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return the image of a latent."""
        ...

    def denoise(self, z_t: torch.Tensor, t: int, context: torch.Tensor | None) -> torch.Tensor:
        """Return the clean latent expected from the noisy one at step t."""
        ...
