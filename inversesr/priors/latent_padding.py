"""Latents whose sides a denoiser needs as multiples of a number: zeros around what was encoded.

Of n zeros along an axis, half lie before the latent and the rest after it, as MONAI's
`DivisiblePad` puts them.
"""

from torch import Tensor
from torch.nn import functional

from inversesr.priors.card import LatentCard
from inversesr.protocols import Shape


def padded_shape(latent: LatentCard, image_shape: Shape) -> tuple[int, ...]:
    """Return the shape of the latent of an image, (channels, X', Y', Z').

    Args:
        latent: The latent space.
        image_shape: Shape of the image, multiples of `latent.factor`.
    """
    sides = [n // latent.factor for n in image_shape]
    return (latent.channels, *(-(-n // latent.multiple) * latent.multiple for n in sides))


def pad_latent(z: Tensor, shape: Shape) -> Tensor:
    """Put zeros around a latent, shape (C, X, Y, Z), so that it has the given shape."""
    widths = []
    for n, wanted in zip(reversed(z.shape), reversed(shape), strict=True):
        before = (wanted - n) // 2
        widths += [before, wanted - n - before]
    return functional.pad(z, widths) if any(widths) else z


def crop_latent(z: Tensor, latent: LatentCard, image_shape: Shape) -> Tensor:
    """Return the part of a padded latent, shape (C, X', Y', Z'), that belongs to the image."""
    for axis, n in enumerate(image_shape, start=1):
        inner = n // latent.factor
        z = z.narrow(axis, (z.shape[axis] - inner) // 2, inner)
    return z
