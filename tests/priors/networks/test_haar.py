import pytest
import torch

from inversesr.priors.networks import haar


@pytest.fixture
def x():
    return torch.randn((2, 1, 4, 6, 8), generator=torch.Generator().manual_seed(0))


def test_synthesis_inverts_analysis(x):
    assert torch.allclose(haar.synthesise(haar.analyse(x)), x, atol=1e-6)


def test_analysis_inverts_synthesis():
    bands = torch.randn((2, 8, 2, 3, 4), generator=torch.Generator().manual_seed(0))
    assert torch.allclose(haar.analyse(haar.synthesise(bands)), bands, atol=1e-6)


def test_the_transform_keeps_the_energy(x):
    assert haar.analyse(x).square().sum() == pytest.approx(float(x.square().sum()), rel=1e-5)


def test_synthesis_is_the_adjoint_of_analysis(x):
    bands = torch.randn((2, 8, 2, 3, 4), generator=torch.Generator().manual_seed(1))
    forward = float((haar.analyse(x) * bands).sum())
    assert forward == pytest.approx(float((x * haar.synthesise(bands)).sum()), rel=1e-4)


def test_the_first_band_is_the_scaled_mean_of_every_block(x):
    means = torch.nn.functional.avg_pool3d(x, 2)
    assert torch.allclose(haar.analyse(x)[:, :1], means * 8.0**0.5, atol=1e-6)


def test_a_constant_image_has_only_the_first_band():
    bands = haar.analyse(torch.ones(1, 1, 2, 2, 2))
    assert torch.allclose(bands[:, 1:], torch.zeros(1, 7, 1, 1, 1), atol=1e-6)


def test_precision_follows_the_input(x):
    assert haar.analyse(x.double()).dtype == torch.float64


@pytest.mark.parametrize("depth", [1, 2])
def test_bands_of_bands_lose_nothing_and_their_first_is_the_average(depth):
    x = torch.randn((2, 1, 8, 4, 12), generator=torch.Generator().manual_seed(0))
    bands = haar.analyse_deep(x, depth)
    side = 2**depth
    assert bands.shape == (2, 8**depth, 8 // side, 4 // side, 12 // side)
    assert torch.allclose(haar.synthesise_deep(bands, depth), x, atol=1e-5)
    average = torch.nn.functional.avg_pool3d(x, side) * side**1.5
    assert torch.allclose(bands[:, :1], average, atol=1e-5)
    other = torch.randn(bands.shape, generator=torch.Generator().manual_seed(1))
    forward = float((bands * other).sum())
    assert forward == pytest.approx(
        float((x * haar.synthesise_deep(other, depth)).sum()), rel=1e-3
    )
