"""The stage `whole-autoencoder`: trains the autoencoder of a whole-brain prior on aligned brains.

It begins as the best linear map of blocks of 8 x 8 x 8 voxels; the loss is that of `autoencoder`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from inversesr.priors.networks.block_autoencoder import FACTOR, BlockAutoencoder
from inversesr.training import loop
from inversesr.training.autoencoder import Example, divergence, is_mixed, reconstruction_error
from inversesr.training.brains import LIKE_T1, Brain, draw_brain, read_brains
from inversesr.training.initialisation import initialise
from inversesr.training.patches import cut_filled, vary_contrast
from inversesr.training.random import happens, integer
from inversesr.training.scans import split_held_out
from inversesr.training.synthetic import paint

# patches whose blocks tell the principal components, and least share of a block that is brain
N_MEASURED_PATCHES, LEAST_FILLED = 100, 0.3


@dataclass(frozen=True)
class BlockAutoencoderShape:
    """Size of the network; see `BlockAutoencoder`.

    Attributes:
        latent_channels: Channels of a latent.
        widths: Channels at 1/4 and 1/8 of the resolution.
        encoder_blocks: Residual blocks at each of these in the encoder.
        decoder_blocks: Residual blocks at each of these in the decoder.
    """

    latent_channels: int = 32
    widths: tuple[int, int] = (64, 96)
    encoder_blocks: tuple[int, int] = (1, 2)
    decoder_blocks: tuple[int, int] = (3, 3)

    def build(self) -> BlockAutoencoder:
        """Return the untrained network."""
        return BlockAutoencoder(
            self.latent_channels, self.widths, self.encoder_blocks, self.decoder_blocks
        )


@dataclass(frozen=True)
class WholeAutoencoderConfig:
    """Everything about the stage that can be chosen.

    Attributes:
        shape: Size of the network.
        side: Length of a patch in voxels, a multiple of 8.
        n_patches: Patches in a batch.
        synthetic: Share of patches painted from label maps, where there are any.
        foreground: Share of a patch that must not be background.
        schedule: How long and how.
        held_out: Words in the names of brains kept for validation.
        dtype: Arithmetic inside the network; bfloat16 is faster where the hardware has it.
        gradient_weight: Weight of the finite differences.
        kl_weight: Weight of the divergence from a standard normal, by latent number.
    """

    shape: BlockAutoencoderShape = field(default_factory=BlockAutoencoderShape)
    side: int = 64
    n_patches: int = 2
    synthetic: float = 0.3
    foreground: float = 0.3
    schedule: loop.LoopConfig = field(default_factory=loop.LoopConfig)
    held_out: tuple[str, ...] = ()
    dtype: torch.dtype = torch.float32
    gradient_weight: float = 0.5
    kl_weight: float = 1e-5


def train_whole_autoencoder(
    data_dirs: Iterable[Path],
    config: WholeAutoencoderConfig,
    output_dir: Path,
    *,
    resume: bool,
    watch: loop.Watch | None = None,
) -> BlockAutoencoder:
    """Train the autoencoder.

    Args:
        data_dirs: Folders of aligned brains (`inversesr prior align`).
        config: Everything that can be chosen.
        output_dir: Receives the checkpoint and the tables of losses.
        resume: Continue from the checkpoint in output_dir, if there is one.
        watch: Called after every step.

    Returns:
        The network with averaged weights.
    """
    paths, kept = split_held_out(data_dirs, config.held_out)
    brains, generator = read_brains(paths), torch.Generator().manual_seed(config.schedule.seed)
    net = initialise(config.shape.build(), config.schedule.seed)
    net.start_from(draw_blocks(brains, config, generator))
    examples = [draw_brain(b, generator, as_it_is=True)[0] for b in read_brains(kept)]
    task = loop.TrainingTask(
        net,
        lambda generator, _: draw_example(brains, config, generator),
        lambda model, batch: autoencoder_loss(model, batch, config),
        lambda model: validate(model, examples, config.dtype),
    )
    return loop.train(task, config.schedule, output_dir, resume=resume, watch=watch)


def draw_blocks(
    brains: Sequence[Brain], config: WholeAutoencoderConfig, generator: torch.Generator
) -> torch.Tensor:
    """Cut patches into blocks; return those that show brain, shape (N, 8, 8, 8)."""
    found = []
    for _ in range(N_MEASURED_PATCHES):
        patch = draw_patch(brains, config, generator)
        for axis in range(3):
            patch = patch.unfold(axis, FACTOR, FACTOR)
        blocks = patch.flatten(0, 2)
        found.append(blocks[(blocks > 0).float().mean(dim=(1, 2, 3)) > LEAST_FILLED])
    return torch.cat(found)


def draw_patch(
    brains: Sequence[Brain], config: WholeAutoencoderConfig, generator: torch.Generator
) -> torch.Tensor:
    """Cut a patch from a brain, mirrored at random, with an augmented contrast."""
    wanted = happens(config.synthetic, generator)
    chosen = [brain for brain in brains if brain.is_labels == wanted] or list(brains)
    brain = chosen[integer(len(chosen), generator)]
    shape = (config.side, config.side, config.side)
    patch = cut_filled(brain.voxels, shape, config.foreground, generator)
    if happens(0.5, generator):
        patch = patch.flip(0)
    if brain.is_labels:
        return paint(patch, LIKE_T1, generator)
    return vary_contrast(patch.float() / 255.0, generator)


def draw_example(
    brains: Sequence[Brain], config: WholeAutoencoderConfig, generator: torch.Generator
) -> Example:
    """Draw patches, and the noise of their latents."""
    patches = [draw_patch(brains, config, generator) for _ in range(config.n_patches)]
    x = torch.stack(patches)[:, None].contiguous()
    n = config.side // FACTOR
    shape = (len(x), config.shape.latent_channels, n, n, n)
    return Example(x, torch.randn(shape, generator=generator))


def autoencoder_loss(
    net: BlockAutoencoder, batch: Example, config: WholeAutoencoderConfig
) -> torch.Tensor:
    """Return the error of noisy reconstructions plus the weighted divergence of the latents."""
    with torch.autocast(batch.x.device.type, config.dtype, enabled=is_mixed(config.dtype)):
        mean, sigma = net.encode(batch.x)
        x = net.decode(mean + sigma * batch.eps)
    error = reconstruction_error(x - batch.x, config.gradient_weight)
    return error + config.kl_weight * divergence(mean, sigma)


@torch.no_grad()
def validate(
    net: BlockAutoencoder, examples: list[torch.Tensor], dtype: torch.dtype
) -> dict[str, float]:
    """Return the PSNR in dB within the brain of each held-out brain, data range 1."""
    figures = {}
    for number, x in enumerate(examples):
        with torch.autocast(x.device.type, dtype, enabled=is_mixed(dtype)):
            found = net.decode(net.encode(x[None, None])[0])[0, 0]
        error = (found - x)[x > 0].double().square().mean()
        figures[f"psnr_db_{number}"] = float(-10.0 * error.clamp(min=1e-12).log10())
    return figures
