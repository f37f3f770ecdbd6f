"""Noise schedules as data: how much of a latent and how much noise each timestep holds.

    z_t = signal[t] * z + noise[t] * eps,        eps ~ N(0, 1)

Timestep -1 is clean data: signal 1, noise 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inversesr.errors import InputError
from inversesr.priors.card import ScheduleCard

CLEAN = -1


@dataclass(frozen=True, eq=False)
class Schedule:
    """Noise levels of a diffusion or flow.

    Attributes:
        signal: Factor of the clean latent by timestep, float64, falling.
        noise: Standard deviation of the noise by timestep, float64, rising.
        prediction: What the network returns: "epsilon", "v", "x0" or "flow".
        spacing: Default way to choose few timesteps out of many.
        base_voxels: Voxels of a latent for which few timesteps of a flow are spaced evenly; for
            larger latents they move towards noise. None spaces them evenly always.
    """

    signal: Tensor
    noise: Tensor
    prediction: str
    spacing: str
    base_voxels: float | None = None

    @property
    def n_levels(self) -> int:
        """Number of timesteps; the noisiest is n_levels - 1."""
        return len(self.signal)

    def level(self, t: int) -> tuple[float, float]:
        """Return (signal, noise) at a timestep; (1, 0) at CLEAN."""
        return (1.0, 0.0) if t == CLEAN else (float(self.signal[t]), float(self.noise[t]))

    def timestep_of(self, sigma: float) -> int:
        """Return the timestep whose noise-to-signal ratio is nearest to sigma (in the log)."""
        usable = (self.signal > 0) & (self.noise > 0)
        ratio = torch.where(usable, self.noise / self.signal.clamp(min=1e-12), math.inf)
        return int((ratio.log() - math.log(sigma)).abs().argmin())


def make_schedule(card: ScheduleCard) -> Schedule:
    """Compute the noise levels that a card describes.

    Raises:
        InputError: arguments are missing or unknown for this kind of schedule.
    """
    if card.kind == "rectified_flow":
        base = _arguments(card, {"base_voxels": 0.0})["base_voxels"] or None
        noise = torch.arange(card.n_steps + 1, dtype=torch.float64) / card.n_steps
        return Schedule(1.0 - noise, noise, card.prediction, card.spacing, base)
    signal_squared = _KINDS[card.kind](card)
    signal, noise = signal_squared.sqrt(), (1.0 - signal_squared).sqrt()
    return Schedule(signal, noise, card.prediction, card.spacing)


def _arguments(card: ScheduleCard, defaults: dict[str, float | None]) -> dict[str, float]:
    """Fill in defaults (None: required) and refuse names that the kind does not know."""
    unknown = sorted(set(card.arguments) - set(defaults))
    merged = {name: card.arguments.get(name, value) for name, value in defaults.items()}
    missing = [name for name, value in merged.items() if value is None]
    if unknown or missing:
        message = (
            f"schedule {card.kind!r} has arguments {sorted(card.arguments)}; "
            f"expected {sorted(defaults)}"
        )
        raise InputError(message)
    return {name: float(value) for name, value in merged.items() if value is not None}


def _linear(card: ScheduleCard) -> Tensor:
    """Betas rise in a straight line (Ho, Jain, Abbeel 2020, arXiv:2006.11239)."""
    found = _arguments(card, {"beta_start": None, "beta_end": None})
    ends = found["beta_start"], found["beta_end"]
    return torch.cumprod(1.0 - torch.linspace(*ends, card.n_steps, dtype=torch.float64), 0)


def _scaled_linear(card: ScheduleCard) -> Tensor:
    """Square roots of betas rise in a straight line (Rombach et al. 2022, arXiv:2112.10752)."""
    found = _arguments(card, {"beta_start": None, "beta_end": None})
    ends = found["beta_start"] ** 0.5, found["beta_end"] ** 0.5
    betas = torch.linspace(*ends, card.n_steps, dtype=torch.float64) ** 2
    return torch.cumprod(1.0 - betas, 0)


def _cosine(card: ScheduleCard) -> Tensor:
    """Squared-cosine signal, betas at most 0.999 (Nichol, Dhariwal 2021, arXiv:2102.09672)."""
    s = _arguments(card, {"s": 0.008})["s"]
    u = torch.arange(card.n_steps + 1, dtype=torch.float64) / card.n_steps
    power = torch.cos((u + s) / (1.0 + s) * math.pi / 2.0) ** 2
    betas = (1.0 - power[1:] / power[:-1]).clamp(max=0.999)
    return torch.cumprod(1.0 - betas, 0)


def _shifted_cosine(card: ScheduleCard) -> Tensor:
    """Cosine in log SNR, moved by 2 log(shift) (Hoogeboom et al. 2023, arXiv:2301.11093).

    A shift below 1 adds noise, as suits an image larger than the one of the cosine schedule.
    Timestep i is at time (i + 1) / (n_steps + 1), so that both ends stay finite.
    """
    shift = _arguments(card, {"shift": None})["shift"]
    u = torch.arange(1, card.n_steps + 1, dtype=torch.float64) / (card.n_steps + 1)
    log_snr = -2.0 * torch.tan(math.pi * u / 2.0).log() + 2.0 * math.log(shift)
    return torch.sigmoid(log_snr)


_KINDS: dict[str, Callable[[ScheduleCard], Tensor]] = {
    "linear": _linear,
    "scaled_linear": _scaled_linear,
    "cosine": _cosine,
    "shifted_cosine": _shifted_cosine,
}


def add_noise(schedule: Schedule, z: Tensor, t: int, eps: Tensor) -> Tensor:
    """Return z_t = signal z + noise eps."""
    signal, noise = schedule.level(t)
    return signal * z + noise * eps


def clean_from_output(schedule: Schedule, output: Tensor, z_t: Tensor, t: int) -> Tensor:
    """Turn what the network returned at z_t into its estimate of the clean latent.

    Args:
        schedule: The noise levels and the kind of prediction. With signal a and noise b, "v" is
            a eps - b z (Salimans, Ho 2022, arXiv:2202.00512), "flow" is z - eps.
        output: Network output.
        z_t: Noisy latent, of the same shape.
        t: Timestep.

    Returns:
        The clean latent, of the same shape.
    """
    signal, noise = schedule.level(t)
    if schedule.prediction == "epsilon":
        return (z_t - noise * output) / signal
    if schedule.prediction == "v":
        return signal * z_t - noise * output
    if schedule.prediction == "flow":
        return z_t + noise * output
    return output


def noise_of(schedule: Schedule, z_t: Tensor, z0: Tensor, t: int) -> Tensor:
    """Return the noise that explains z_t when z0 is the clean latent."""
    signal, noise = schedule.level(t)
    return (z_t - signal * z0) / noise
