import math

import pytest
import torch

from inversesr.priors.expected_error import (
    FIRST_SCALE,
    SD_OF_SCALE,
    ErrorNet,
    ErrorShape,
    expected_error,
)
from inversesr.priors.slice_examples import make_example
from inversesr.priors.warmstart import SliceGeometry, WarmStartNet, WarmStartShape, white_level
from inversesr.training.expected_error import Judgement, error_loss, judge, validate
from inversesr.training.first_weights import seed_weights

GEOMETRY = SliceGeometry(4.0, 4.0, 1.5)
SMALL = ErrorShape(widths=(4, 6), n_blocks=(1, 1), n_embedding=8)


@pytest.fixture
def net():
    """A network whose every weight does something."""
    generator = torch.Generator().manual_seed(0)
    net = ErrorNet(SMALL)
    seed_weights(net, generator)
    for weight in net.parameters():
        weight.data += 0.05 * torch.randn(weight.shape, generator=generator)
    return net.eval().requires_grad_(requires_grad=False)


@pytest.fixture
def pair():
    """An image and what it was thinned from."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand((20, 19, 27), generator=generator)
    return x, x + 0.1 * torch.randn(x.shape, generator=generator)


def test_untrained_it_expects_the_same_everywhere(pair):
    found = expected_error(ErrorNet(SMALL), *pair, GEOMETRY)
    scale = FIRST_SCALE * SD_OF_SCALE * float(white_level(pair[1]))
    assert torch.allclose(found, torch.full_like(found, scale), rtol=1e-5)


def test_it_has_the_shape_and_the_unit_of_the_image(net, pair):
    found = expected_error(net, *pair, GEOMETRY)
    assert found.shape == pair[0].shape
    assert found.min() > 0.0
    assert found.std() > 0.0
    brighter = expected_error(net, *(1000.0 * image for image in pair), GEOMETRY)
    assert torch.allclose(brighter, 1000.0 * found, rtol=1e-4)


def test_the_loss_is_least_at_the_mean_absolute_error():
    """A network that says b everywhere is best where b is what errors are in the mean."""
    truth = torch.rand((16, 16, 32), generator=torch.Generator().manual_seed(0))
    batch = make_example(truth, GEOMETRY, "rect", 0.0, torch.Generator())
    x = batch.truth + 0.03 * torch.randn(batch.truth.shape, generator=torch.Generator())
    mean = float((x - batch.truth).abs().mean())
    net = ErrorNet(SMALL)

    def loss(scale):
        # the average band of an image that is 1 everywhere is 8^(1/2)
        net.head.bias.data[0] = (math.log(scale) - math.log(FIRST_SCALE)) * 8.0**0.5
        return float(error_loss(net, Judgement(x, batch), torch.float32).detach())

    assert loss(mean) == pytest.approx(1.0 + math.log(mean), abs=1e-3)
    assert loss(mean) < min(loss(0.8 * mean), loss(1.25 * mean))
    constant = validate(net, [Judgement(x, batch)], torch.float32)["loss_of_constant"]
    assert constant == pytest.approx(loss(mean), abs=1e-3)


def test_what_is_judged_reproduces_the_slices():
    truth = torch.rand((16, 16, 32), generator=torch.Generator().manual_seed(0))
    batch = make_example(truth, GEOMETRY, "rect", 0.0, torch.Generator())
    warmstart = WarmStartNet(WarmStartShape((4, 6, 8), (1, 1, 1), 8))
    seed_weights(warmstart, torch.Generator().manual_seed(0))
    x = judge(warmstart, batch, torch.float32).x
    assert torch.allclose(batch.lock(x), x, atol=1e-5)
