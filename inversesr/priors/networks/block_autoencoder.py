"""The autoencoder of a whole-brain prior: an eighth of the resolution, a few numbers a block.

    z = B x + E(H x),        x = B^-1 z + H' D(z)

B takes the leading principal components of each block of 8 x 8 x 8 voxels, to unit variance; B^-1
puts a block together from them. H splits an image into its 64 Haar bands at a quarter of the
resolution. The networks E and D start at zero: an untrained autoencoder is the best linear one,
block by block, and training adds what blocks know of one another.

Reference: Chen et al. (2024), Deep compression autoencoder, arXiv:2410.10733, for autoencoders
that learn what a linear shortcut leaves.
"""

from collections.abc import Sequence

import torch
from torch import nn

from inversesr.priors.networks import haar
from inversesr.priors.networks.blocks import as_weights_of
from inversesr.priors.networks.local_autoencoder import (
    LOG_VARIANCE_RANGE,
    LocalDecoder,
    LocalEncoder,
)

FACTOR, DEPTH = 8, 2
N_BANDS = haar.N_BANDS**DEPTH
# brings bands to about unit size: by pairs, of the second transform and of the first
SECOND_SCALES = (0.35, *(haar.N_BANDS - 1) * (1.0,))
FIRST_SCALES = (0.5, *(haar.N_BANDS - 1) * (8.0,))


class BlockAutoencoder(nn.Module):
    """Image to latent and back, at 1/8 of the resolution; called as MONAI's AutoencoderKL.

    Args:
        latent_channels: Channels of a latent, at most 512.
        widths: Channels at 1/4 and 1/8 of the resolution.
        encoder_blocks: Residual blocks at each of these in the encoder.
        decoder_blocks: Residual blocks at each of these in the decoder.

    Attributes:
        factor: Image voxels to one latent voxel along each axis.
    """

    def __init__(
        self,
        latent_channels: int = 32,
        widths: Sequence[int] = (64, 96),
        encoder_blocks: Sequence[int] = (1, 2),
        decoder_blocks: Sequence[int] = (3, 3),
    ) -> None:
        super().__init__()
        if not 1 <= latent_channels <= FACTOR**3:
            message = f"latent_channels is {latent_channels}; expected 1 to {FACTOR**3}"
            raise ValueError(message)
        self.factor = FACTOR
        self.analysis = nn.Conv3d(1, latent_channels, FACTOR, stride=FACTOR)
        self.synthesis = nn.ConvTranspose3d(latent_channels, 1, FACTOR, stride=FACTOR)
        self.encoder = LocalEncoder(latent_channels, widths, encoder_blocks, N_BANDS)
        self.decoder = LocalDecoder(latent_channels, widths, decoder_blocks, N_BANDS)

    @torch.no_grad()
    def start_from(self, blocks: torch.Tensor) -> None:
        """Make the shortcut that of the principal components of some blocks.

        Args:
            blocks: Blocks of images, shape (N, 8, 8, 8), more of them than latent channels.
        """
        k, flat = len(self.analysis.weight), blocks.double().flatten(1)
        mean = flat.mean(0)
        power, axes = torch.linalg.eigh((flat - mean).T @ (flat - mean) / len(flat))
        sd = power.flip(0)[:k].clamp(min=1e-8).sqrt()
        basis = axes.flip(1)[:, :k].T
        shape = (k, 1, FACTOR, FACTOR, FACTOR)
        self.analysis.weight.copy_((basis / sd[:, None]).reshape(shape))
        self.analysis.bias.copy_(-(basis @ mean) / sd)  # type: ignore[union-attr]
        self.synthesis.weight.copy_((basis * sd[:, None]).reshape(shape))
        # one number for all voxels of a block; what is left of their mean is for the networks
        self.synthesis.bias.fill_(mean.mean())  # type: ignore[union-attr]

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of the latent.

        Args:
            x: Images, shape (B, 1, X, Y, Z), every length a multiple of 8, about [0, 1].

        Returns:
            Two tensors of shape (B, latent_channels, X / 8, Y / 8, Z / 8), float32.
        """
        # the shortcut in full precision: bfloat16 would round the image itself
        with torch.autocast(x.device.type, enabled=False):
            shortcut = self.analysis(as_weights_of(self.analysis, x)).float()
            bands = self.scaled_bands(x).contiguous(memory_format=torch.channels_last_3d)
        change, log_variance = self.encoder(bands).float().chunk(2, dim=1)
        return shortcut + change, (0.5 * log_variance.clamp(*LOG_VARIANCE_RANGE)).exp()

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return images, shape (B, 1, 8 X, 8 Y, 8 Z), float32, of latents."""
        z = z.float().contiguous(memory_format=torch.channels_last_3d)
        bands = self.decoder(z)
        with torch.autocast(z.device.type, enabled=False):
            shortcut: torch.Tensor = self.synthesis(as_weights_of(self.synthesis, z))
            return shortcut.float() + haar.synthesise_deep(bands.float() / _scales(z), DEPTH)

    def scaled_bands(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the encoder sees of images."""
        return haar.analyse_deep(x.float(), DEPTH) * _scales(x)

    def boundary_layers(self) -> list[nn.Module]:
        """Return the layers at which images and latents enter and leave."""
        ends = [layer for part in (self.encoder, self.decoder) for layer in (part.stem, part.head)]
        return [self.analysis, self.synthesis, *ends]


def _scales(like: torch.Tensor) -> torch.Tensor:
    """Return the scales of the bands, shape (64, 1, 1, 1)."""
    pairs = torch.outer(torch.tensor(SECOND_SCALES), torch.tensor(FIRST_SCALES))
    return pairs.flatten().to(like)[:, None, None, None]
