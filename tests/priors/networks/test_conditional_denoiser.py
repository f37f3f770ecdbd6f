import pytest
import torch

from inversesr.priors.networks.conditional_denoiser import (
    HIGHEST_SIGMA,
    LOWEST_SIGMA,
    N_LEVEL,
    RESIDUAL_SD,
    ConditionalDenoiser,
    build_conditional_denoiser,
    describe_level,
)
from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.priors.networks.unet import SuperResolutionShape, SuperResolutionUNet
from tests.support.problems import one_thread  # noqa: F401  (a fixture)

SMALL = SuperResolutionShape(widths=(4, 6, 8), n_blocks=(1, 1, 1), n_embedding=8)
SLICES = SliceGeometry(thickness=4.0, spacing=5.0, first_centre=1.5).as_tensor().expand(2, 3)


def volumes(seed):
    return torch.randn((2, 1, 8, 16, 8), generator=torch.Generator().manual_seed(seed))


def levels(value):
    return torch.full((2,), value)


def shaken(net, seed=3):
    """Give every weight of a network some noise: trained enough for a test."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return net


@pytest.mark.parametrize("sigma", [LOWEST_SIGMA, 0.05, HIGHEST_SIGMA])
def test_an_untrained_denoiser_is_the_best_that_knows_nothing_but_variances(sigma):
    net, r = ConditionalDenoiser(SMALL), volumes(1)
    found = net.denoise(volumes(0), SLICES, r, levels(sigma), levels(0.0))
    torch.testing.assert_close(found, RESIDUAL_SD**2 / (RESIDUAL_SD**2 + sigma**2) * r)


def test_it_begins_where_a_super_resolution_network_ended():
    old, net = shaken(SuperResolutionUNet(SMALL)), ConditionalDenoiser(SMALL)
    missing, unknown = net.load_state_dict(old.state_dict(), strict=False)
    assert {name.split(".")[0] for name in missing} == {"noisy", "level"}
    assert not unknown
    x = volumes(0)
    share = HIGHEST_SIGMA / (HIGHEST_SIGMA**2 + RESIDUAL_SD**2) ** 0.5
    expected = x + share * (old(x, SLICES) - x)
    torch.testing.assert_close(net(x, SLICES), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def learned(net, residual, sigma, noise, slices):
    """What a network adds to the estimate that knows nothing but variances."""
    untrained = ConditionalDenoiser(SMALL)
    told = (volumes(0), slices, residual, sigma, noise)
    return net.denoise(*told) - untrained.denoise(*told)


@pytest.mark.parametrize("told", ["residual", "sigma", "noise", "slices"])
def test_a_trained_denoiser_heeds_all_that_it_is_told(told):
    net = shaken(ConditionalDenoiser(SMALL))
    given = {"residual": volumes(1), "sigma": levels(0.1), "noise": levels(0.0), "slices": SLICES}
    other = {"residual": volumes(2), "sigma": levels(0.2), "noise": levels(0.05)}
    other["slices"] = SLICES + 1.0
    first = learned(net, **given)
    second = learned(net, **{**given, told: other[told]})
    assert float((first - second).std()) > 1e-3 * float(first.std())


@torch.no_grad()
def test_at_the_highest_noise_next_to_nothing_of_the_residual_enters():
    net = shaken(ConditionalDenoiser(SMALL))
    noisy = HIGHEST_SIGMA * volumes(1)
    seen, blind = (
        net.denoise(volumes(0), SLICES, r, levels(HIGHEST_SIGMA), levels(0.0))
        for r in (noisy, torch.zeros_like(noisy))
    )
    assert float((seen - blind).std()) < 0.1 * float(blind.std())


def test_noise_levels_are_told_apart_over_the_whole_range():
    sigma = torch.logspace(-2.4, 0.0, 40)
    told = describe_level(sigma, torch.zeros(40))
    assert told.shape == (40, N_LEVEL)
    apart = torch.cdist(told, told) + torch.eye(40)
    assert float(apart.min()) > 0.05


def test_it_is_built_from_the_arguments_of_a_card():
    net = build_conditional_denoiser(widths=[4, 6, 8], n_blocks=[1, 1, 1], n_embedding=8)
    assert net.state_dict().keys() == ConditionalDenoiser(SMALL).state_dict().keys()
