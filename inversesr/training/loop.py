"""The training loop that every stage shares: resumable, annealed, averaged.

    progress p runs from 0 to 1;   rate = learning_rate (1 + cos(pi p)) / 2 after a linear warm-up

Progress is counted in steps or in minutes. It is part of the checkpoint, so a run that is
resumed with another budget anneals smoothly from where it was to the new end. Several processes
follow the mean of their gradients and the clock of process 0.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from inversesr.training import distributed
from inversesr.training.checkpoint import (
    CHECKPOINT_NAME,
    ModelT,
    State,
    load_checkpoint,
    save_checkpoint,
)
from inversesr.training.tables import append_row, drop_rows_after

BETAS = (0.9, 0.99)
LOSSES_NAME, VALIDATION_NAME = "losses.csv", "validation.csv"
# between the seeds of processes
SEED_STRIDE = 1_000_003

BatchT = TypeVar("BatchT")


@dataclass(frozen=True)
class LoopConfig:
    """How long and how to train.

    Attributes:
        n_steps: Steps in all; the budget unless minutes is given.
        minutes: Budget of this call in wall-clock minutes instead of steps; bit-exact resuming
            needs a budget in steps.
        learning_rate: Highest learning rate.
        n_warm_up: Steps over which the rate rises from zero.
        ema_decay: Decay of the averaged weights.
        max_gradient_norm: Longer gradients are scaled down to it.
        log_every: Steps between rows of losses.csv.
        validate_every: Steps between rows of validation.csv.
        checkpoint_minutes: Minutes between checkpoints.
        seed: Seed of the batches.
        device: Where to train, as torch names it: "cpu", "cuda", "cuda:1".
    """

    n_steps: int = 20_000
    minutes: float | None = None
    learning_rate: float = 6e-4
    n_warm_up: int = 200
    ema_decay: float = 0.999
    max_gradient_norm: float = 1.0
    log_every: int = 50
    validate_every: int = 1_000
    checkpoint_minutes: float = 5.0
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class TrainingTask(Generic[ModelT, BatchT]):
    """What a stage trains.

    Attributes:
        model: Network, trained in place.
        draw: Draws the batch of a step.
        loss: Scalar to be lowered.
        validate: Figures of merit of the averaged network.
    """

    model: ModelT
    draw: Callable[[torch.Generator, int], BatchT]
    loss: Callable[[ModelT, BatchT], torch.Tensor]
    validate: Callable[[ModelT], dict[str, float]]


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training is.

    Attributes:
        step: Steps done.
        progress: Share of the budget that is used up.
        loss: Mean loss since the last row of losses.csv.
        minutes: Wall-clock minutes of this call.
    """

    step: int
    progress: float
    loss: float
    minutes: float


Watch = Callable[[TrainingProgress], None]


def train(
    task: TrainingTask[ModelT, BatchT],
    config: LoopConfig,
    output_dir: Path,
    *,
    resume: bool,
    watch: Watch | None = None,
) -> ModelT:
    """Train until the budget is used up.

    Args:
        task: What to train.
        config: How long and how.
        output_dir: Receives checkpoint.safetensors, losses.csv and validation.csv.
        resume: Continue from the checkpoint in output_dir, if there is one.
        watch: Called after every step.

    Returns:
        The network with averaged weights.
    """
    state = begin(task.model, config, output_dir, resume=resume)
    task = replace(task, loss=distributed.with_shared_gradients(task.model, task.loss))
    checkpoint = output_dir / CHECKPOINT_NAME
    start = saved = time.monotonic()
    elapsed, losses = 0.0, list[float]()
    while state.progress < 1.0:
        losses.append(take_step(state, task, config))
        before, elapsed = elapsed, time.monotonic() - start
        is_due = time.monotonic() - saved > 60.0 * config.checkpoint_minutes
        progress = advance(state, config, before, elapsed)
        state.progress, is_due_everywhere = distributed.broadcast(progress, is_due)
        moment = TrainingProgress(
            state.step, state.progress, math.fsum(losses) / len(losses), elapsed / 60
        )
        if distributed.rank() == 0:
            record(state, moment, task, config, output_dir)
        if state.step % config.log_every == 0:
            losses.clear()
        if is_due_everywhere:
            save_checkpoint(state, checkpoint)
            saved = time.monotonic()
        if watch is not None:
            watch(moment)
    save_checkpoint(state, checkpoint)
    return state.averaged


def begin(model: ModelT, config: LoopConfig, output_dir: Path, *, resume: bool) -> State[ModelT]:
    """Return the state from which to train: a new one, or that of the checkpoint."""
    output_dir.mkdir(parents=True, exist_ok=True)
    state = new_state(model.to(config.device), config)
    if resume and (output_dir / CHECKPOINT_NAME).exists():
        load_checkpoint(state, output_dir / CHECKPOINT_NAME)
    if distributed.rank() == 0:
        for name in (LOSSES_NAME, VALIDATION_NAME):
            drop_rows_after(output_dir / name, state.step)
    return state


def record(
    state: State[ModelT],
    moment: TrainingProgress,
    task: TrainingTask[ModelT, BatchT],
    config: LoopConfig,
    output_dir: Path,
) -> None:
    """Add rows to the tables where they are due."""
    if moment.step % config.log_every == 0:
        figures = {"minutes": moment.minutes, "progress": moment.progress}
        row = {"step": moment.step, **figures, "rate": learning_rate(state, config)}
        append_row(output_dir / LOSSES_NAME, {**row, "loss": moment.loss})
    if moment.step % config.validate_every == 0 or moment.progress >= 1.0:
        figures = task.validate(state.averaged)
        append_row(output_dir / VALIDATION_NAME, {"step": moment.step, **figures})


def new_state(model: ModelT, config: LoopConfig) -> State[ModelT]:
    """Return the state before the first step."""
    average = AveragedModel(model, avg_fn=moving_average(config.ema_decay))
    average.requires_grad_(requires_grad=False)
    optimiser = torch.optim.AdamW(model.parameters(), betas=BETAS, weight_decay=0.0)
    seed = config.seed + SEED_STRIDE * distributed.rank()
    generator = torch.Generator().manual_seed(seed)
    return State(model, average, optimiser, generator)


def take_step(
    state: State[ModelT], task: TrainingTask[ModelT, BatchT], config: LoopConfig
) -> float:
    """Draw a batch, follow its gradient, update the average; return the loss."""
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(state, config)
    state.optimiser.zero_grad()
    loss = task.loss(state.model, task.draw(state.generator, state.step))
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(state.model.parameters(), config.max_gradient_norm)
    # Seen: weight gradients of bfloat16 convolutions are garbage, often no number, on features of
    # two voxels or fewer a side (torch 2.13 on the CPU). One such step would end it all.
    if norm.isfinite():
        state.optimiser.step()
    state.step += 1
    state.average.update_parameters(state.model)
    return float(torch.stack(distributed.gather(loss.detach())).mean())


def moving_average(
    decay: float,
) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor | int], torch.Tensor]:
    """Return how an average follows the weights: a young one forgets the first ones quickly."""

    def follow(
        average: torch.Tensor, weight: torch.Tensor, n_averaged: torch.Tensor | int
    ) -> torch.Tensor:
        n = float(n_averaged)
        return average.lerp(weight, 1.0 - min(decay, (2.0 + n) / (11.0 + n)))

    return follow


def learning_rate(state: State[ModelT], config: LoopConfig) -> float:
    """Return the rate of the next step: linear warm-up, then half a cosine."""
    warm_up = min(1.0, (state.step + 1) / max(1, config.n_warm_up))
    cosine = 0.5 * (1.0 + math.cos(math.pi * state.progress))
    return config.learning_rate * warm_up * cosine


def advance(state: State[ModelT], config: LoopConfig, before: float, elapsed: float) -> float:
    """Return the progress after a step: its share of what was left, steps or seconds."""
    if config.minutes is None:
        n_left = config.n_steps - state.step
        share = 1.0 / (n_left + 1.0) if n_left > 0 else 1.0
    else:
        left = 60.0 * config.minutes - before
        share = (elapsed - before) / left if elapsed < 60.0 * config.minutes else 1.0
    return state.progress + (1.0 - state.progress) * share if share < 1.0 else 1.0
