"""The stage `whole-denoiser`: trains a denoiser on latents of whole brains in one pose.

    loss = mean |N(z_t, c, t) - v|^2,   z_t = a z + b eps,   v = a eps - b z,   a^2 + b^2 = 1

z are latents of aligned brains, each moved a little and mirrored, scaled by channel; c is what is
known of the subject, left out now and then. Channels that the image hardly shows are made smaller
than the others, so that a sample gains its outlines first and its detail after them.

References: Salimans, Ho (2022), Progressive distillation for fast sampling of diffusion models,
arXiv:2202.00512; Ho, Salimans (2022), Classifier-free diffusion guidance, arXiv:2207.12598.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from inversesr.priors.card import ScheduleCard
from inversesr.priors.networks.block_autoencoder import BlockAutoencoder
from inversesr.priors.networks.local_denoiser import LocalDenoiser
from inversesr.priors.schedule import Schedule, make_schedule
from inversesr.training import distributed, loop
from inversesr.training.brains import UNKNOWN, VARIABLES, Brain, draw_brain, read_brains, scaled
from inversesr.training.denoiser_config import DenoiserShape
from inversesr.training.initialisation import initialise
from inversesr.training.latents import Latents, write_statistics
from inversesr.training.random import integer
from inversesr.training.scans import split_held_out

LATENTS_FILE = "latents.safetensors"
# noise-to-signal ratios at which held-out brains are denoised
SIGMAS = (0.3, 1.0, 3.0, 10.0)


@dataclass(frozen=True)
class WholeDenoiserConfig:
    """Everything about the stage that can be chosen.

    Attributes:
        shape: Size of the network.
        noise: Noise levels.
        n_brains: Latents in a batch.
        n_passes: How often every brain is encoded: once as it is, then moved and mirrored.
        emphasis: Channels have standard deviations in proportion to the change of the image that
            they make, to this power: 0 makes all of them alike, 1 is as the image shows them.
        dropped: Share of the variables, and again of whole sets of them, that are left out.
        schedule: How long and how.
        held_out: Words in the names of brains kept for validation.
        dtype: Arithmetic inside the networks; bfloat16 is faster where the hardware has it.
    """

    shape: DenoiserShape = field(
        default_factory=lambda: DenoiserShape((64, 128, 160), (2, 2, 2), 128)
    )
    noise: ScheduleCard = field(
        default_factory=lambda: ScheduleCard(
            "shifted_cosine", 1000, "v", "trailing", {"shift": 0.5}
        )
    )
    n_brains: int = 4
    n_passes: int = 4
    emphasis: float = 0.5
    dropped: float = 0.15
    schedule: loop.LoopConfig = field(default_factory=loop.LoopConfig)
    held_out: tuple[str, ...] = ()
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True, eq=False)
class WholeLatents:
    """Latents of whole brains, and what is known of each.

    Attributes:
        latents: As the autoencoder makes them, and their statistics.
        known: Variables as the network sees them, shape (N, n_variables).
    """

    latents: Latents
    known: torch.Tensor


@dataclass(frozen=True, eq=False)
class NoisyBrains:
    """A batch: noisy latents with maps of what is known, timesteps, what is to be predicted."""

    z_t: torch.Tensor
    t: torch.Tensor
    v: torch.Tensor


def train_whole_denoiser(
    data_dirs: Iterable[Path],
    autoencoder: BlockAutoencoder,
    config: WholeDenoiserConfig,
    output_dir: Path,
    *,
    resume: bool,
    watch: loop.Watch | None = None,
) -> LocalDenoiser:
    """Train the denoiser.

    Args:
        data_dirs: Folders of aligned brains (`inversesr prior align`).
        autoencoder: Trained network.
        config: Everything that can be chosen.
        output_dir: Receives latents.json, latents.safetensors (which is read again when the
            training is resumed), the checkpoint and the tables of losses.
        resume: Continue from the checkpoint in output_dir, if there is one.
        watch: Called after every step.

    Returns:
        The network with averaged weights.
    """
    autoencoder.eval().requires_grad_(requires_grad=False)
    paths, kept = split_held_out(data_dirs, config.held_out)
    own = encoded(autoencoder, read_brains(paths), config, output_dir / LATENTS_FILE)
    own = emphasised(own, autoencoder, config)
    write_statistics(own.latents, config.noise, output_dir)
    held_out = encode_brains(autoencoder, read_brains(kept), config, n_passes=1)
    trial = WholeLatents(whitened_by(held_out.latents, own.latents), held_out.known)
    shape = config.shape
    net = initialise(
        LocalDenoiser(
            len(own.latents.mean), shape.widths, shape.n_blocks, shape.n_embedding, len(VARIABLES)
        ),
        config.schedule.seed,
    )
    schedule = make_schedule(config.noise)
    task = loop.TrainingTask(
        net,
        lambda generator, _: draw_noisy(own, schedule, config, generator),
        lambda model, batch: denoiser_loss(model, batch, config.dtype),
        lambda model: validate(model, trial, schedule, config.dtype),
    )
    return loop.train(task, config.schedule, output_dir, resume=resume, watch=watch)


def encoded(
    autoencoder: BlockAutoencoder,
    brains: list[Brain],
    config: WholeDenoiserConfig,
    path: Path,
) -> WholeLatents:
    """Return latents of all brains: those of a file where it is there, else made and kept."""
    if not path.is_file():
        made = encode_brains(autoencoder, brains, config, config.n_passes)
        if distributed.rank() == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file({"z": torch.stack(made.latents.volumes), "known": made.known}, path)
        return made
    tensors = load_file(path)
    return gathered(list(tensors["z"]), tensors["known"])


def encode_brains(
    autoencoder: BlockAutoencoder,
    brains: list[Brain],
    config: WholeDenoiserConfig,
    n_passes: int,
) -> WholeLatents:
    """Encode every brain as it is, and then moved and mirrored."""
    generator = torch.Generator().manual_seed(config.schedule.seed)
    volumes, known = [], []
    for number in range(n_passes):
        for brain in brains:
            image, told = draw_brain(brain, generator, as_it_is=number == 0)
            volumes.append(encode(autoencoder, image, config.dtype))
            known.append(scaled(told))
    return gathered(volumes, torch.stack(known) if known else torch.empty(0, len(VARIABLES)))


@torch.no_grad()
def encode(autoencoder: BlockAutoencoder, image: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the latent of an image, shape (C, X / 8, Y / 8, Z / 8), float16."""
    with torch.autocast(image.device.type, dtype, enabled=dtype != torch.float32):
        return autoencoder.encode(image[None, None])[0][0].half()


def gathered(volumes: list[torch.Tensor], known: torch.Tensor) -> WholeLatents:
    """Return latents with mean and standard deviation by channel, over all of them."""
    if not volumes:
        return WholeLatents(Latents([], torch.zeros(0), torch.ones(0)), known)
    numbers = torch.stack(volumes).transpose(0, 1).flatten(1).float()
    statistics = numbers.mean(1), numbers.std(1).clamp(min=1e-6)
    return WholeLatents(Latents(volumes, *statistics), known)


def emphasised(
    brains: WholeLatents, autoencoder: BlockAutoencoder, config: WholeDenoiserConfig
) -> WholeLatents:
    """Return latents whose standard deviation makes channels as large as the image shows them."""
    latents = brains.latents
    gain = gains(autoencoder, latents, config.dtype) ** config.emphasis
    gain /= gain.square().mean().sqrt()
    return WholeLatents(Latents(latents.volumes, latents.mean, latents.std / gain), brains.known)


@torch.no_grad()
def gains(
    autoencoder: BlockAutoencoder, latents: Latents, dtype: torch.dtype, change: float = 0.5
) -> torch.Tensor:
    """Return by how much an image changes with each channel, shape (C,), of the first brain.

    Args:
        autoencoder: Trained network.
        latents: At least one.
        dtype: Arithmetic inside the network.
        change: Noise that a channel is given, in its standard deviations.
    """
    generator = torch.Generator().manual_seed(0)
    z = latents.volumes[0].float()

    def decoded(latent: torch.Tensor) -> torch.Tensor:
        with torch.autocast(z.device.type, dtype, enabled=dtype != torch.float32):
            return autoencoder.decode(latent[None]).float()

    image, effects = decoded(z), []
    for channel, sd in enumerate(latents.std):
        changed = z.clone()
        changed[channel] += change * sd * torch.randn(z[channel].shape, generator=generator)
        effects.append((decoded(changed) - image).square().mean().sqrt() / change)
    return torch.stack(effects).clamp(min=1e-6)


def whitened_by(latents: Latents, other: Latents) -> Latents:
    """Return latents with the statistics of others."""
    return Latents(latents.volumes, other.mean, other.std)


def draw_noisy(
    brains: WholeLatents,
    schedule: Schedule,
    config: WholeDenoiserConfig,
    generator: torch.Generator,
) -> NoisyBrains:
    """Draw brains, a timestep for each, noise, and what is left out of what is known."""
    n, latents = config.n_brains, brains.latents
    chosen = [integer(len(latents.volumes), generator) for _ in range(n)]
    z = latents.whitened(torch.stack([latents.volumes[i] for i in chosen]))
    known = leave_out(brains.known[chosen], config.dropped, generator)
    # one of every part of the schedule, so that batches are alike
    place = (torch.randperm(n, generator=generator) + torch.rand(n, generator=generator)) / n
    t = (place * schedule.n_levels).long().clamp(max=schedule.n_levels - 1)
    eps = torch.randn(z.shape, generator=generator)
    a, b = (
        level[t].float()[:, None, None, None, None] for level in (schedule.signal, schedule.noise)
    )
    return NoisyBrains(with_maps(a * z + b * eps, known), t, a * eps - b * z)


def leave_out(known: torch.Tensor, share: float, generator: torch.Generator) -> torch.Tensor:
    """Replace some variables, and now and then all of a brain, by what stands for unknown."""
    single = torch.rand(known.shape, generator=generator) < share
    whole = torch.rand((len(known), 1), generator=generator) < share
    return torch.where(single | whole, UNKNOWN, known)


def with_maps(z_t: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Append one constant map for each variable to latents, shape (B, C + n, X, Y, Z)."""
    maps = known[:, :, None, None, None].expand(-1, -1, *z_t.shape[2:])
    return torch.cat([z_t, maps], dim=1)


def denoiser_loss(net: LocalDenoiser, batch: NoisyBrains, dtype: torch.dtype) -> torch.Tensor:
    """Return the mean squared error of the prediction."""
    with torch.autocast(batch.z_t.device.type, dtype, enabled=dtype != torch.float32):
        v = net(batch.z_t, batch.t)
    loss: torch.Tensor = (v.float() - batch.v).square().mean()
    return loss


def validate(
    net: LocalDenoiser, held_out: WholeLatents, schedule: Schedule, dtype: torch.dtype
) -> dict[str, float]:
    """Return the mean squared error of the clean latent of held-out brains by noise level."""
    figures: dict[str, float] = {}
    if not held_out.latents.volumes:
        return figures
    z = held_out.latents.whitened(torch.stack(held_out.latents.volumes))
    eps = torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    for sigma in SIGMAS:
        t = schedule.timestep_of(sigma)
        a, b = schedule.level(t)
        z_t = a * z + b * eps
        times = torch.full((len(z),), t)
        with (
            torch.no_grad(),
            torch.autocast(z.device.type, dtype, enabled=dtype != torch.float32),
        ):
            v = net(with_maps(z_t, held_out.known), times).float()
        figures[f"error_{sigma:g}"] = float((a * z_t - b * v - z).square().mean())
    return figures
