import math

import pytest
import torch

from inversesr.priors.networks.error_net import FIRST_SCALE, ErrorNet
from inversesr.priors.networks.unet import SuperResolutionShape, SuperResolutionUNet
from inversesr.priors.slice_examples import make_example
from inversesr.training.error_net import (
    ErrorConfig,
    RestoredPatches,
    error_loss,
    restore_patches,
    train_error,
    validate,
)
from inversesr.training.initialisation import draw_weights
from inversesr.training.loop import LoopConfig
from inversesr.training.patches import PatchConfig
from tests.priors.networks.test_error_net import GEOMETRY, SMALL
from tests.support.laws import normal
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.training_data import write_scans

CONFIG = ErrorConfig(
    shape=SMALL,
    patches=PatchConfig(shape=(8, 8, 32), n_patches=1),
    schedule=LoopConfig(n_steps=2, n_warm_up=1, log_every=1, validate_every=1),
    held_out=("sub-02",),
)


@pytest.fixture
def data_dir(tmp_path):
    return write_scans(tmp_path, (12, 12, 32))


@pytest.fixture
def unet():
    """A network whose every weight does something."""
    generator = torch.Generator().manual_seed(0)
    net = SuperResolutionUNet(SuperResolutionShape((4, 6, 8), (1, 1, 1), 8))
    draw_weights(net, generator)
    for weight in net.parameters():
        weight.data += 0.02 * torch.randn(weight.shape, generator=generator)
    return net


def example():
    truth = torch.rand((8, 16, 32), generator=torch.Generator().manual_seed(0))
    return make_example(truth, GEOMETRY, "rect", 0.0, torch.Generator())


def patches():
    batch = example()
    return RestoredPatches(batch.truth + 0.03 * normal(batch.truth.shape, 1, torch.float32), batch)


def test_the_loss_is_least_at_the_mean_absolute_error():
    """A network that says b everywhere is best where b is what errors are in the mean."""
    found = patches()
    mean = float((found.x - found.batch.truth).abs().mean())
    net = ErrorNet(SMALL)

    def loss(scale):
        # the average band of an image that is 1 everywhere is 8^(1/2)
        net.head.bias.data[0] = (math.log(scale) - math.log(FIRST_SCALE)) * 8.0**0.5
        return float(error_loss(net, found, torch.float32).detach())

    assert loss(mean) == pytest.approx(1.0 + math.log(mean), abs=1e-3)
    assert loss(mean) < min(loss(0.8 * mean), loss(1.25 * mean))
    constant = validate(net, [found], torch.float32)["loss_of_constant"]
    assert constant == pytest.approx(loss(mean), abs=1e-3)


def test_nothing_costs_less_than_to_know_every_error():
    found = patches()
    error = (found.x - found.batch.truth).abs().clamp(min=1e-6)

    def loss(scale):
        return float(error_loss(lambda *_: scale, found, torch.float32))

    known = loss(error)
    assert known == pytest.approx(1.0 + float(error.log().mean()), abs=1e-3)
    assert known < loss(error.mean().expand_as(error))
    assert known < loss(error * (0.2 * normal(error.shape, 2, torch.float32)).exp())


def test_errors_known_ten_times_as_large_cost_the_logarithm_of_ten():
    """In other units of intensity the same knowledge costs a constant."""
    found = patches()
    larger = RestoredPatches(found.batch.truth + 10.0 * (found.x - found.batch.truth), found.batch)
    scale = 0.01 + torch.rand(found.x.shape, generator=torch.Generator().manual_seed(3))
    losses = [
        float(error_loss(lambda *_, s=s: s, j, torch.float32))
        for j, s in ((found, scale), (larger, 10.0 * scale))
    ]
    assert losses[1] - losses[0] == pytest.approx(math.log(10.0), abs=1e-4)


def test_what_is_judged_reproduces_the_slices(unet):
    batch = example()
    x = restore_patches(unet, batch, torch.float32).x
    assert torch.allclose(batch.make_consistent(x), x, atol=1e-5)
    assert not torch.allclose(x, batch.start, atol=1e-2)
    assert not x.requires_grad


def test_training_lowers_the_loss_on_one_batch():
    found = patches()
    net = ErrorNet(SMALL)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(8):
        loss = error_loss(net, found, torch.float32)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] - 0.02


def test_training_runs_from_files_to_averaged_weights(data_dir, unet, tmp_path):
    before = [weight.detach().clone() for weight in unet.parameters()]
    net = train_error([data_dir], unet, CONFIG, tmp_path / "run", resume=False)
    assert net.head.weight.abs().max() > 0.0
    header = (tmp_path / "run" / "validation.csv").read_text().splitlines()[0]
    assert header == "step,loss,loss_of_constant"
    # the network that is judged is not trained
    for weight, former in zip(unet.parameters(), before, strict=True):
        assert torch.equal(weight, former)
        assert not weight.requires_grad


def test_the_same_seed_trains_the_same_network(data_dir, unet, tmp_path):
    nets = [train_error([data_dir], unet, CONFIG, tmp_path / name, resume=False) for name in "ab"]
    for first, second in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(first, second)


def test_without_held_out_scans_there_are_no_figures():
    assert validate(ErrorNet(SMALL), [], torch.float32) == {}
