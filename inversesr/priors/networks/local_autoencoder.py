"""The autoencoder of a free prior: small, fully convolutional, equal however a scan is cropped.

    z = S H2 x + E(H x),        x = H' (pad(H' S^-1 z) + D(z))

H splits an image into eight Haar bands at half the resolution, H2 x are the eight bands of its
average band at a quarter, S brings them to unit size. The networks E and D start at zero: an
untrained autoencoder halves the resolution of an image, and training adds the rest.

Reference: Chen et al. (2024), Deep compression autoencoder, arXiv:2410.10733, for autoencoders
that learn what a space-to-channel shortcut leaves.
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from inversesr.priors.networks import haar
from inversesr.priors.networks.blocks import (
    ResidualBlock,
    as_weights_of,
    scale_bands,
    zero_weights,
)

FACTOR = 4
# brings the bands of the average band of scans in [0, 1] to about unit size
LATENT_SCALES = (0.5, *(haar.N_BANDS - 1) * (4.0,))
# The noise of a latent is at least exp(-8 / 2) = 0.018: an encoder that is free to hide detail
# in smaller steps makes latents that a denoiser cannot tell from noise.
LOG_VARIANCE_RANGE = (-8.0, 4.0)
# untrained; unit noise would drown the shortcut
FIRST_LOG_VARIANCE = -6.0
# Image voxels in one pass without a gradient; more are cut along the first axis. A head of
# 192 x 224 x 192 is done whole, in less than 1 GiB.
LARGEST_PASS = 12_000_000


class LocalEncoder(nn.Module):
    """From Haar bands to what is added to the latent, and the logarithm of its variance."""

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        n_blocks: Sequence[int],
        n_bands: int = haar.N_BANDS,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv3d(n_bands, widths[0], 3, padding=1)
        self.fine = nn.Sequential(*(ResidualBlock(widths[0]) for _ in range(n_blocks[0])))
        self.down = nn.Conv3d(widths[0], widths[1], 2, stride=2)
        self.coarse = nn.Sequential(*(ResidualBlock(widths[1]) for _ in range(n_blocks[1])))
        self.head = nn.Conv3d(widths[1], 2 * channels, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        first = torch.tensor([0.0, FIRST_LOG_VARIANCE]).repeat_interleave(channels)
        self.head.bias = nn.Parameter(first)

    def forward(self, bands: torch.Tensor) -> torch.Tensor:
        """Return changes and log variances, shape (B, 2 channels, X / 2, Y / 2, Z / 2).

        Args:
            bands: Bands of about unit size, shape (B, n_bands, X, Y, Z).
        """
        features = self.stem(as_weights_of(self.stem, bands))
        features = self.fine(as_weights_of(self.down, features))
        features = functional.silu(self.coarse(self.down(features)))
        latent: torch.Tensor = self.head(as_weights_of(self.head, features))
        return latent


class LocalDecoder(nn.Module):
    """From a latent to Haar bands that are added to those of its shortcut."""

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        n_blocks: Sequence[int],
        n_bands: int = haar.N_BANDS,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv3d(channels, widths[1], 3, padding=1)
        self.coarse = nn.Sequential(*(ResidualBlock(widths[1]) for _ in range(n_blocks[1])))
        self.up = nn.ConvTranspose3d(widths[1], widths[0], 2, stride=2)
        self.fine = nn.Sequential(*(ResidualBlock(widths[0]) for _ in range(n_blocks[0])))
        self.head = nn.Conv3d(widths[0], n_bands, 3, padding=1)
        zero_weights(self.head)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return bands, shape (B, n_bands, 2 X, 2 Y, 2 Z)."""
        features = self.stem(as_weights_of(self.stem, z))
        features = self.up(self.coarse(as_weights_of(self.up, features)))
        features = functional.silu(self.fine(features))
        bands: torch.Tensor = self.head(as_weights_of(self.head, features))
        return bands


class LocalAutoencoder(nn.Module):
    """Image to latent and back, at a quarter of the resolution; called as MONAI's AutoencoderKL.

    Args:
        latent_channels: Channels of a latent, at least the 8 of its shortcut.
        widths: Channels at 1/2 and 1/4 of the resolution.
        encoder_blocks: Residual blocks at each of these in the encoder.
        decoder_blocks: Residual blocks at each of these in the decoder.
    """

    def __init__(
        self,
        latent_channels: int = 8,
        widths: Sequence[int] = (32, 96),
        encoder_blocks: Sequence[int] = (1, 3),
        decoder_blocks: Sequence[int] = (2, 3),
    ) -> None:
        super().__init__()
        if latent_channels < haar.N_BANDS:
            message = f"latent_channels is {latent_channels}; expected at least {haar.N_BANDS}"
            raise ValueError(message)
        self.encoder = LocalEncoder(latent_channels, widths, encoder_blocks)
        self.decoder = LocalDecoder(latent_channels, widths, decoder_blocks)

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of the latent.

        Args:
            x: Images, shape (B, 1, X, Y, Z), every length a multiple of 4, about [0, 1].

        Returns:
            Two tensors of shape (B, latent_channels, X / 4, Y / 4, Z / 4), float32.
        """
        # the shortcut in full precision: bfloat16 would round the image itself
        with torch.autocast(x.device.type, enabled=False):
            bands = haar.analyse(x.float()).contiguous(memory_format=torch.channels_last_3d)
            shortcut = haar.analyse(bands[:, :1]) * _latent_scales(bands)
        change, log_variance = self.encoder(scale_bands(bands)).float().chunk(2, dim=1)
        padding = change.shape[1] - haar.N_BANDS
        shortcut = functional.pad(shortcut, (0,) * 7 + (padding,))
        return shortcut + change, (0.5 * log_variance.clamp(*LOG_VARIANCE_RANGE)).exp()

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return images, shape (B, 1, X, Y, Z), float32, of latents at a quarter of the size."""
        z = z.float().contiguous(memory_format=torch.channels_last_3d)
        bands = self.decoder(z)
        with torch.autocast(z.device.type, enabled=False):
            average = haar.synthesise(z[:, : haar.N_BANDS] / _latent_scales(z))
            shortcut = functional.pad(average, (0,) * 7 + (haar.N_BANDS - 1,))
            return haar.synthesise(shortcut + bands.float())

    def scaled_bands(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the encoder sees of images."""
        return scale_bands(haar.analyse(x.float()))

    def boundary_layers(self) -> list[nn.Module]:
        """Return the layers at which images and latents enter and leave."""
        return [self.encoder.stem, self.encoder.head, self.decoder.stem, self.decoder.head]

    def reach(self) -> int:
        """Return from how many latent voxels away one voxel is seen, at most, either way."""
        reaches = []
        for part in (self.encoder, self.decoder):
            fine, coarse = (2 * len(list(b.children())) + 1 for b in (part.fine, part.coarse))
            # the convolutions at half the resolution reach half as far
            reaches.append(coarse + -(-fine // 2) + 1)
        return max(reaches)


def encode_whole(autoencoder: LocalAutoencoder, x: torch.Tensor) -> torch.Tensor:
    """Return the mean of the latent of an image of any size, without a gradient.

    Args:
        autoencoder: The network.
        x: Image, shape (1, 1, X, Y, Z), every length a multiple of 4.

    Returns:
        Latent, shape (1, latent_channels, X / 4, Y / 4, Z / 4).
    """

    def encode(part: torch.Tensor) -> torch.Tensor:
        return autoencoder.encode(part)[0]

    return _in_parts(encode, x, _planes_a_pass(x, 1), autoencoder.reach(), (FACTOR, 1))


def decode_whole(autoencoder: LocalAutoencoder, z: torch.Tensor) -> torch.Tensor:
    """Return the image of a latent of any size, shape (1, 1, X, Y, Z), without a gradient."""
    n_planes = _planes_a_pass(z, FACTOR)
    return _in_parts(autoencoder.decode, z, n_planes, autoencoder.reach(), (1, FACTOR))


def _planes_a_pass(x: torch.Tensor, factor: int) -> int:
    """Return how many latent planes across the first axis are done at a time."""
    n_voxels_a_plane = FACTOR * x.shape[3] * x.shape[4] * factor**2
    return max(1, LARGEST_PASS // n_voxels_a_plane)


def _in_parts(
    apply: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    n_planes: int,
    reach: int,
    factors: tuple[int, int],
) -> torch.Tensor:
    """Apply a local map part by part, each with all that it sees; exact.

    Args:
        apply: The map.
        x: Its argument.
        n_planes: Latent planes across the first axis in a part.
        reach: Latent planes that a part sees beyond its own.
        factors: Voxels to a latent voxel, of argument and result.
    """
    before, after = factors
    total = x.shape[2] // before
    parts = []
    with torch.inference_mode():
        for start in range(0, total, n_planes):
            stop = min(start + n_planes, total)
            low, high = max(0, start - reach), min(total, stop + reach)
            part = apply(x[:, :, low * before : high * before])
            parts.append(part[:, :, (start - low) * after : (stop - low) * after])
        whole = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
    return whole.clone()


def _latent_scales(like: torch.Tensor) -> torch.Tensor:
    """Return the scales of the shortcut, shape (8, 1, 1, 1)."""
    return torch.tensor(LATENT_SCALES).to(like)[:, None, None, None]
