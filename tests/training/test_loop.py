import csv

import pytest
import torch
from torch import nn

from inversesr.training.checkpoint import CHECKPOINT_NAME, save_checkpoint
from inversesr.training.loop import (
    LOSSES_NAME,
    VALIDATION_NAME,
    LoopConfig,
    TrainingTask,
    advance,
    learning_rate,
    new_state,
    take_step,
    train,
)

CONFIG = LoopConfig(n_steps=4, n_warm_up=2, log_every=1, validate_every=2)


def make_task():
    model = nn.Conv3d(1, 1, 3, padding=1)
    for weight in model.parameters():
        nn.init.constant_(weight, 0.1)
    return TrainingTask(
        model.to(memory_format=torch.channels_last_3d),
        lambda generator, _: torch.randn((2, 1, 4, 4, 4), generator=generator),
        lambda net, batch: (net(batch) - batch).square().mean(),
        lambda net: {"bias": float(net.bias)},
    )


def rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_training_lowers_the_loss(tmp_path):
    config = LoopConfig(n_steps=60, n_warm_up=5, learning_rate=0.05, log_every=10)
    train(make_task(), config, tmp_path, resume=False)
    losses = [float(row["loss"]) for row in rows(tmp_path / LOSSES_NAME)]
    assert losses[-1] < 0.5 * losses[0]


def test_every_step_is_logged_once_even_after_resuming(tmp_path):
    train(make_task(), CONFIG, tmp_path, resume=False)
    state = new_state(make_task().model, CONFIG)
    save_checkpoint(state, tmp_path / CHECKPOINT_NAME)
    train(make_task(), CONFIG, tmp_path, resume=True)
    assert [int(row["step"]) for row in rows(tmp_path / LOSSES_NAME)] == [1, 2, 3, 4]
    assert [int(row["step"]) for row in rows(tmp_path / VALIDATION_NAME)] == [2, 4]


def test_the_rate_rises_and_then_falls_to_nothing():
    config = LoopConfig(n_steps=100, n_warm_up=10, learning_rate=1.0)
    state = new_state(make_task().model, config)
    rates = []
    while state.progress < 1.0:
        rates.append(learning_rate(state, config))
        state.step += 1
        state.progress = advance(state, config, 0.0, 0.0)
    assert len(rates) == 100
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9]
    assert rates[-1] < 1e-3


def test_a_shorter_budget_anneals_from_where_it_was():
    long, short = LoopConfig(n_steps=100), LoopConfig(n_steps=60)
    state = new_state(make_task().model, long)
    for state.step in range(1, 51):
        state.progress = advance(state, long, 0.0, 0.0)
    assert state.progress == pytest.approx(0.5)
    for state.step in range(51, 61):
        state.progress = advance(state, short, 0.0, 0.0)
    assert state.progress == 1.0


def test_progress_in_minutes_follows_the_clock():
    config = LoopConfig(minutes=1.0)
    state = new_state(make_task().model, config)
    for before, after in ((0.0, 6.0), (6.0, 30.0)):
        state.progress = advance(state, config, before, after)
    assert state.progress == pytest.approx(0.5)
    assert advance(state, config, 30.0, 61.0) == 1.0


def test_the_average_follows_the_weights():
    task = make_task()
    state = new_state(task.model, CONFIG)
    expected = None
    for step in range(3):
        take_step(state, task, CONFIG)
        weight = task.model.weight.detach().clone()
        share = 1.0 - min(CONFIG.ema_decay, (2.0 + step) / (11.0 + step))
        expected = weight if expected is None else expected + share * (weight - expected)
        torch.testing.assert_close(state.averaged.weight, expected)
    assert not torch.equal(expected, weight)


def test_a_gradient_that_is_no_number_leaves_the_weights_alone():
    task = make_task()
    spoilt = TrainingTask(
        task.model, task.draw, lambda *a: task.loss(*a) * float("nan"), task.validate
    )
    state = new_state(task.model, CONFIG)
    before = task.model.weight.detach().clone()
    take_step(state, spoilt, CONFIG)
    assert torch.equal(task.model.weight, before)
    take_step(state, task, CONFIG)
    assert not torch.equal(task.model.weight, before)
    assert task.model.weight.isfinite().all()
