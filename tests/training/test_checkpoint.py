import torch
from torch import nn

from inversesr.training.checkpoint import (
    CHECKPOINT_NAME,
    load_checkpoint,
    save_checkpoint,
    stage_folder,
)
from inversesr.training.loop import (
    LOSSES_NAME,
    VALIDATION_NAME,
    LoopConfig,
    TrainingTask,
    advance,
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


def test_two_steps_and_two_resumed_steps_equal_four_steps(tmp_path):
    whole = make_task()
    state = new_state(whole.model, CONFIG)
    for _ in range(4):
        take_step(state, whole, CONFIG)
        state.progress = advance(state, CONFIG, 0.0, 0.0)

    first = make_task()
    half = new_state(first.model, CONFIG)
    for _ in range(2):
        take_step(half, first, CONFIG)
        half.progress = advance(half, CONFIG, 0.0, 0.0)
    save_checkpoint(half, tmp_path / CHECKPOINT_NAME)
    second = make_task()
    averaged = train(second, CONFIG, tmp_path, resume=True)

    for name, weight in state.model.state_dict().items():
        assert torch.equal(weight, second.model.state_dict()[name])
    for name, weight in state.averaged.state_dict().items():
        assert torch.equal(weight, averaged.state_dict()[name])


def test_a_restored_state_draws_the_same_batches(tmp_path):
    task = make_task()
    state = new_state(task.model, CONFIG)
    take_step(state, task, CONFIG)
    save_checkpoint(state, tmp_path / "c.safetensors")
    other = new_state(make_task().model, CONFIG)
    load_checkpoint(other, tmp_path / "c.safetensors")
    assert torch.equal(task.draw(state.generator, 1), task.draw(other.generator, 1))
    assert other.step == 1


def test_saving_leaves_no_partial_file(tmp_path):
    train(make_task(), CONFIG, tmp_path, resume=False)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {CHECKPOINT_NAME, LOSSES_NAME, VALIDATION_NAME}


def test_a_stage_goes_on_in_the_folder_of_its_earlier_name(tmp_path):
    assert stage_folder(tmp_path, "unet") == tmp_path / "unet"
    (tmp_path / "warmstart").mkdir()
    assert stage_folder(tmp_path, "unet") == tmp_path / "warmstart"
    (tmp_path / "unet").mkdir()
    assert stage_folder(tmp_path, "unet") == tmp_path / "unet"
    assert stage_folder(tmp_path, "error") == tmp_path / "error"
