import pytest
import torch
from scipy.stats import laplace

from inversesr.priors.networks.error_net import (
    FIRST_SCALE,
    ErrorNet,
    ErrorShape,
    expected_error,
)
from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.priors.networks.unet_inference import white_level
from inversesr.training.initialisation import draw_weights

GEOMETRY = SliceGeometry(4.0, 4.0, 1.5)
SMALL = ErrorShape(widths=(4, 6), n_blocks=(1, 1), n_embedding=8)


@pytest.fixture
def net():
    """A network whose every weight does something."""
    generator = torch.Generator().manual_seed(0)
    net = ErrorNet(SMALL)
    draw_weights(net, generator)
    for weight in net.parameters():
        weight.data += 0.05 * torch.randn(weight.shape, generator=generator)
    return net.eval().requires_grad_(requires_grad=False)


@pytest.fixture
def pair():
    """An image and what it was thinned from."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand((20, 19, 27), generator=generator)
    return x, x + 0.1 * torch.randn(x.shape, generator=generator)


def test_the_deviation_is_that_of_a_laplace_distribution_of_the_scale_it_states(pair):
    # untrained, it states the same scale everywhere
    found = expected_error(ErrorNet(SMALL), *pair, GEOMETRY)
    scale = FIRST_SCALE * float(white_level(pair[1]))
    assert torch.allclose(found, torch.full_like(found, laplace(scale=scale).std()), rtol=1e-5)


def test_it_has_the_shape_and_the_unit_of_the_image(net, pair):
    found = expected_error(net, *pair, GEOMETRY)
    assert found.shape == pair[0].shape
    assert found.min() > 0.0
    assert found.std() > 0.0
    brighter = expected_error(net, *(1000.0 * image for image in pair), GEOMETRY)
    assert torch.allclose(brighter, 1000.0 * found, rtol=1e-4)
