"""Building blocks of the project's own networks, whose every output depends on its surroundings.

Features are normalised over the channels of each voxel alone, never over space, so what becomes
of a voxel does not depend on how the volume was cropped or tiled.
"""

import torch
from torch import nn
from torch.nn import functional

from inversesr.priors.networks import haar
from inversesr.priors.networks.slabwise import slabwise

# brings the average and the seven details of one Haar transform, which are far weaker, to about
# unit size
BAND_SCALES = (0.5, *(haar.N_BANDS - 1) * (8.0,))


class ResidualBlock(nn.Module):
    """Two normalised convolutions whose output is added to their input."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first_norm = nn.LayerNorm(width)
        self.first = nn.Conv3d(width, width, 3, padding=1)
        self.second_norm = nn.LayerNorm(width)
        self.second = nn.Conv3d(width, width, 3, padding=1)
        zero_weights(self.second)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return features of the same shape."""
        hidden = self.first(functional.silu(normalise(features, self.first_norm)))
        change: torch.Tensor = self.second(functional.silu(normalise(hidden, self.second_norm)))
        return features + change


class ModulatedBlock(nn.Module):
    """Residual block whose features are scaled and shifted by what an embedding tells.

    Reference: Perez, Strub, de Vries, Dumoulin, Courville (2018), FiLM: visual reasoning with a
    general conditioning layer, AAAI 32, doi:10.1609/aaai.v32i1.11671.
    """

    def __init__(self, width: int, n_embedding: int) -> None:
        super().__init__()
        self.first_norm = nn.LayerNorm(width)
        self.first = nn.Conv3d(width, width, 3, padding=1)
        self.second_norm = nn.LayerNorm(width)
        self.second = nn.Conv3d(width, width, 3, padding=1)
        self.modulation = nn.Linear(n_embedding, 2 * width)
        zero_weights(self.second)
        zero_weights(self.modulation)

    def forward(self, features: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """Return features of the same shape."""
        scale, shift = self.modulation(embedding)[:, :, None, None, None].chunk(2, dim=1)

        def first(x: torch.Tensor) -> torch.Tensor:
            hidden: torch.Tensor = self.first(functional.silu(normalise(x, self.first_norm)))
            return hidden

        def second(x: torch.Tensor) -> torch.Tensor:
            hidden = torch.addcmul(shift, normalise(x, self.second_norm), 1.0 + scale)
            change: torch.Tensor = self.second(functional.silu(hidden))
            return change

        return features + slabwise(second, slabwise(first, features, 1), 1)


def normalise(features: torch.Tensor, norm: nn.Module) -> torch.Tensor:
    """Apply a layer norm over the channels of each voxel; free of copies in channels_last_3d."""
    normalised: torch.Tensor = norm(features.movedim(1, -1))
    return normalised.movedim(-1, 1)


def zero_weights(layer: nn.Module) -> None:
    """Make a layer return nothing until it is trained."""
    for weight in layer.parameters():
        nn.init.zeros_(weight)


def modulated_blocks(width: int, n_blocks: int, n_embedding: int) -> nn.ModuleList:
    """Return the modulated residual blocks of one level."""
    return nn.ModuleList(ModulatedBlock(width, n_embedding) for _ in range(n_blocks))


def apply_blocks(
    level_blocks: nn.Module, features: torch.Tensor, embedding: torch.Tensor
) -> torch.Tensor:
    """Run features through the modulated residual blocks of one level."""
    for block in level_blocks.children():
        features = block(features, embedding)
    return features


def scale_bands(bands: torch.Tensor) -> torch.Tensor:
    """Bring Haar bands of an image near [0, 1] to about unit size, shape (B, 8, X, Y, Z)."""
    return bands * torch.tensor(BAND_SCALES).to(bands)[:, None, None, None]


def channels_last(features: torch.Tensor) -> torch.Tensor:
    """Lay features out with the channels last, as 3D convolutions are fastest."""
    return features.contiguous(memory_format=torch.channels_last_3d)


def as_weights_of(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Give a tensor the type in which a layer holds its weights; autocast does that by itself."""
    if torch.is_autocast_enabled(x.device.type):
        return x
    return x.to(next(layer.parameters()).dtype)
