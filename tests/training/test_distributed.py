import pytest
import torch
from torch import distributed as torch_distributed
from torch import multiprocessing, nn

from inversesr.training import distributed
from inversesr.training.checkpoint import load_checkpoint, save_checkpoint
from inversesr.training.loop import LoopConfig, TrainingTask, new_state, take_step


def make_net():
    net = nn.Conv3d(1, 2, 3)
    for weight in net.parameters():
        nn.init.constant_(weight, 0.1)
    return net


def loss_of(net, batch):
    return net(batch).square().mean()


def batch_of(rank):
    return torch.randn((2, 1, 4, 4, 4), generator=torch.Generator().manual_seed(rank))


def draw(generator, _step):
    return torch.randn((2, 1, 4, 4, 4), generator=generator)


def no_figures(_net):
    return {}


def run_two(work, folder):
    """Run a function in two gloo processes, each writing what it found."""
    store = f"file://{folder / 'store'}"
    multiprocessing.spawn(run_one, (work, store, folder), nprocs=2)


def run_one(rank, work, store, folder):
    torch.set_num_threads(1)
    torch_distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    torch.save(work(folder), folder / f"{rank}.pt")
    torch_distributed.destroy_process_group()


def found_by(rank, folder):
    return torch.load(folder / f"{rank}.pt", weights_only=True)  # noqa: TID251


def averaged_gradients(_folder):
    net = make_net()
    loss = distributed.with_shared_gradients(net, loss_of)
    loss(net, batch_of(distributed.rank())).backward()
    return [weight.grad for weight in net.parameters()]


@pytest.mark.slow
def test_the_averaged_gradient_is_that_of_the_joint_batch(tmp_path):
    run_two(averaged_gradients, tmp_path)
    net = make_net()
    loss_of(net, torch.cat([batch_of(0), batch_of(1)])).backward()
    for rank in (0, 1):
        for weight, gradient in zip(net.parameters(), found_by(rank, tmp_path), strict=True):
            assert torch.allclose(weight.grad, gradient, rtol=1e-5, atol=1e-7)


def shared_task():
    net = make_net()
    return TrainingTask(net, draw, distributed.with_shared_gradients(net, loss_of), no_figures)


def trained_in_two_halves(folder):
    """Four steps at once, and two steps, a checkpoint and two steps."""
    config = LoopConfig(n_steps=4, n_warm_up=1)
    task = shared_task()
    whole = new_state(task.model, config)
    for _ in range(4):
        take_step(whole, task, config)
    first = shared_task()
    half = new_state(first.model, config)
    for _ in range(2):
        take_step(half, first, config)
    save_checkpoint(half, folder / "checkpoint.safetensors")
    torch_distributed.barrier()
    second = shared_task()
    resumed = new_state(second.model, config)
    load_checkpoint(resumed, folder / "checkpoint.safetensors")
    for _ in range(2):
        take_step(resumed, second, config)
    return {
        "weights": [whole.model.weight.detach(), resumed.model.weight.detach()],
        "next": torch.rand(3, generator=resumed.generator),
        "clock": distributed.broadcast(float(distributed.rank()), 5.0),
    }


@pytest.mark.slow
def test_two_processes_stay_alike_and_resume_bit_for_bit(tmp_path):
    run_two(trained_in_two_halves, tmp_path)
    one, other = found_by(0, tmp_path), found_by(1, tmp_path)
    for found in (one, other):
        assert torch.equal(found["weights"][0], found["weights"][1])
        assert found["clock"] == [0.0, 5.0]
    assert torch.equal(one["weights"][0], other["weights"][0])
    assert not torch.equal(one["next"], other["next"])


def test_a_single_process_is_left_alone():
    tensor = torch.ones(2)
    with distributed.joined():
        assert distributed.with_shared_gradients(make_net(), loss_of) is loss_of
        assert (distributed.rank(), distributed.world_size()) == (0, 1)
        assert distributed.broadcast(2.0, 3.0) == [2.0, 3.0]
        assert distributed.gather(tensor) == [tensor]
    assert tensor.tolist() == [1.0, 1.0]
