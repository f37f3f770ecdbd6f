import pytest
import torch
from torch import nn

from inversesr.priors.networks import slabwise as module
from inversesr.priors.networks.blocks import ModulatedBlock
from inversesr.priors.networks.slabwise import slabwise
from inversesr.training.initialisation import draw_weights


@pytest.fixture(autouse=True)
def small_slabs(monkeypatch):
    monkeypatch.setattr(module, "SLAB_VOXELS", 1)
    monkeypatch.setattr(module, "LEAST_ROWS", 2)


def features(shape=(1, 4, 9, 6, 5)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def convolution():
    layer = nn.Conv3d(4, 3, 3, padding=1)
    draw_weights(layer, torch.Generator().manual_seed(1))
    return layer


def test_a_convolution_is_the_same_slab_by_slab():
    layer, x = convolution(), features()
    seen = []

    def watched(part):
        seen.append(part.shape[2])
        return layer(part)

    with torch.no_grad():
        found = slabwise(watched, x, 1)
        torch.testing.assert_close(found, layer(x))
    # rows of a slab and those beside it, fewer where the volume ends
    assert sorted(seen) == [2, 3, 4, 4, 4]


def test_a_block_is_the_same_slab_by_slab(monkeypatch):
    block = ModulatedBlock(4, 2)
    with torch.no_grad():
        for weight in block.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(weight.numel()))
    x, embedding = features(), torch.tensor([[0.3, -0.7]])
    with torch.no_grad():
        found = block(x, embedding)
        monkeypatch.setattr(module, "LEAST_ROWS", 100)
        whole = block(x, embedding)
    torch.testing.assert_close(found, whole)
    assert not torch.equal(whole, x)


def test_too_short_a_reach_is_noticed_at_the_seams():
    layer, x = convolution(), features()
    with torch.no_grad():
        wrong = (slabwise(layer, x, 0) - layer(x)).abs().amax(dim=(0, 1, 3, 4))
    assert wrong.max() > 1e-3


def test_gradients_are_those_of_the_whole_volume():
    layer, x = convolution(), features().requires_grad_()
    slabwise(layer, x, 1).square().sum().backward()
    expected = torch.autograd.grad(layer(x).square().sum(), x)[0]
    torch.testing.assert_close(x.grad, expected)


def test_the_type_of_the_caller_holds_in_every_slab():
    layer, x = convolution(), features()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert slabwise(layer, x, 1).dtype == torch.bfloat16
    with torch.no_grad():
        assert slabwise(layer, x, 1).dtype == torch.float32


def test_a_result_does_not_depend_on_the_number_of_threads():
    layer, x = convolution(), features((1, 4, 40, 30, 20))
    before, found = torch.get_num_threads(), []
    for n_threads in (1, 2, 3):
        torch.set_num_threads(n_threads)
        with torch.no_grad():
            found.append(slabwise(layer, x, 1))
    torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
