import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors.card import NetworkCard
from inversesr.priors.networks.build import build_network
from inversesr.priors.networks.image_denoiser import (
    PART_SD,
    ImageDenoiser,
    level_waves,
    load_image_denoiser,
)
from inversesr.training.initialisation import draw_weights

SMALL = {"widths": [8, 8], "n_blocks": [1, 1], "n_embedding": 4}


def trained(seed=0):
    """A network that does something."""
    net = ImageDenoiser(**SMALL)
    generator = torch.Generator().manual_seed(seed)
    for weight in net.parameters():
        weight.data = 0.1 * torch.randn(weight.shape, generator=generator)
    return net.requires_grad_(False)


def images(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_untrained_it_is_wieners_estimate():
    net = ImageDenoiser(**SMALL)
    draw_weights(net, torch.Generator().manual_seed(0))
    x, sigma = images(2, 2, 12, 16), torch.tensor([0.1, 0.6])
    shrunk = PART_SD**2 / (PART_SD**2 + sigma**2)
    assert torch.allclose(net(x, sigma), shrunk[:, None, None, None] * x)


@pytest.mark.parametrize("shape", [(8, 8), (9, 14), (3, 21)])
def test_images_may_have_any_size(shape):
    assert trained()(images(1, 2, *shape), torch.tensor([0.1])).shape == (1, 2, *shape)


def test_a_pixel_does_not_depend_on_what_is_far_away():
    x, sigma = images(1, 2, 96, 96), torch.tensor([0.1])
    changed = x.clone()
    changed[..., :8, :8] += 5.0
    difference = (trained()(x, sigma) - trained()(changed, sigma)).abs()
    assert difference[..., 64:, 64:].max() == 0.0
    assert difference.max() > 0.1


def test_noise_levels_are_told_apart():
    waves = level_waves(torch.tensor([0.003, 0.01, 0.1, 1.0]))
    distances = torch.cdist(waves, waves) + 10 * torch.eye(4)
    assert distances.min() > 0.5


def test_it_is_built_by_name():
    assert isinstance(build_network(NetworkCard("ImageDenoiser", SMALL, "file")), ImageDenoiser)


def test_a_prior_without_it_is_refused(tmp_path):
    with pytest.raises(InputError):
        load_image_denoiser(tmp_path, torch.device("cpu"))
