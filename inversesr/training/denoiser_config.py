"""Everything that can be chosen in the stage `denoiser`."""

from dataclasses import dataclass, field

import torch

from inversesr.priors.card import ScheduleCard
from inversesr.priors.networks.local_denoiser import LocalDenoiser
from inversesr.training import loop
from inversesr.training.synthetic import SyntheticConfig


@dataclass(frozen=True)
class DenoiserShape:
    """Size of the network; see `LocalDenoiser`.

    Attributes:
        widths: Channels at 1, 1/2 and 1/4 of the latent's resolution.
        n_blocks: Residual blocks at each of these, on the way down and again on the way up.
        n_embedding: Length of the vector that describes the timestep.
    """

    widths: tuple[int, ...] = (64, 128, 192)
    n_blocks: tuple[int, ...] = (2, 2, 3)
    n_embedding: int = 128

    def build(self, channels: int) -> LocalDenoiser:
        """Return the untrained network for latents of so many channels."""
        return LocalDenoiser(channels, self.widths, self.n_blocks, self.n_embedding)


@dataclass(frozen=True)
class DenoiserConfig:
    """Everything about the stage that can be chosen.

    Attributes:
        shape: Size of the network.
        noise: Noise levels.
        crop: Length of a crop in latent voxels.
        n_crops: Crops in a batch.
        n_passes: How often every scan is encoded, each time with another contrast and pose.
        margin: Largest empty margin around a scan in voxels.
        contrast: How varied painted label maps are.
        schedule: How long and how.
        held_out: Words in the names of scans kept for validation.
        dtype: Arithmetic inside the networks; bfloat16 is faster where the hardware has it.
        recompute: Save memory: compute features again in the backward pass.
    """

    shape: DenoiserShape = field(default_factory=DenoiserShape)
    noise: ScheduleCard = field(
        default_factory=lambda: ScheduleCard(
            "shifted_cosine", 1000, "v", "trailing", {"shift": 0.5}
        )
    )
    crop: int = 24
    n_crops: int = 2
    n_passes: int = 2
    margin: int = 16
    contrast: SyntheticConfig = field(default_factory=SyntheticConfig)
    schedule: loop.LoopConfig = field(default_factory=loop.LoopConfig)
    held_out: tuple[str, ...] = ()
    dtype: torch.dtype = torch.float32
    recompute: bool = False
