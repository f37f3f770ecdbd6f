import pytest
import torch

from inversesr.priors.networks.blocks import (
    ModulatedBlock,
    ResidualBlock,
    as_weights_of,
    normalise,
    scale_bands,
)


def noise(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_untrained_blocks_change_nothing():
    features = noise(2, 6, 3, 4, 5)
    assert torch.equal(ResidualBlock(6)(features), features)
    assert torch.equal(ModulatedBlock(6, 4)(features, noise(2, 4)), features)


def test_every_voxel_is_normalised_over_its_channels_alone():
    features = noise(1, 6, 3, 4, 5)
    norm = torch.nn.LayerNorm(6)
    whole = normalise(features, norm)
    assert torch.allclose(whole.mean(1), torch.zeros(1, 3, 4, 5), atol=1e-6)
    assert torch.equal(normalise(features[..., 2:], norm), whole[..., 2:])


def test_the_average_band_is_scaled_down_and_details_up():
    scaled = scale_bands(torch.ones(1, 8, 1, 1, 1)).flatten()
    assert scaled.tolist() == [0.5, *[8.0] * 7]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_tensor_takes_the_type_of_the_weights_unless_autocast_chooses(dtype):
    layer = torch.nn.Linear(2, 2).to(dtype)
    assert as_weights_of(layer, torch.ones(2)).dtype == dtype
    with torch.autocast("cpu", torch.bfloat16):
        assert as_weights_of(layer, torch.ones(2)).dtype == torch.float32
