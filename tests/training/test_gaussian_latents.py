import pytest
import torch

from inversesr.training.gaussian_latents import StationaryGaussian, fit


def generator():
    return torch.Generator().manual_seed(0)


def smooth_crops(n):
    """Crops of a stationary process whose channels are correlated."""
    white = torch.randn((n, 2, 4, 4, 4), generator=generator())
    smooth = white + 0.8 * white.roll(1, dims=2)
    return torch.stack([smooth[:, 0], 0.7 * smooth[:, 0] + smooth[:, 1] - 0.4], dim=1)


def mean_error(a, b):
    return float((a - b).square().mean())


def test_white_latents_are_only_scaled():
    flat = torch.eye(3, dtype=torch.complex64).expand(4, 4, 4, 3, 3)
    gaussian = StationaryGaussian(torch.zeros(3, 1, 1, 1), flat)
    z_t = torch.randn((2, 3, 4, 4, 4), generator=generator())
    assert torch.allclose(gaussian.denoise(z_t, 0.6, 0.8), 0.6 * z_t, atol=1e-5)


def test_without_correlations_every_number_is_shrunk_towards_the_mean_of_its_channel():
    crops = smooth_crops(500)
    mean, variance = (f(crops.transpose(0, 1).flatten(1), dim=1)[:, None, None, None]
                      for f in (torch.mean, torch.var))  # fmt: skip
    z_t = torch.randn((2, 2, 4, 4, 4), generator=generator())
    share = 0.6 * variance / (0.36 * variance + 0.64)
    expected = mean + share * (z_t - 0.6 * mean)
    found = fit(crops).whitened().denoise(z_t, 0.6, 0.8)
    assert torch.allclose(found, expected, atol=2e-3)


def test_a_measured_covariance_gives_the_expectation_under_it():
    crops = smooth_crops(4000)
    gaussian = fit(crops)
    # the same expectation with the covariance of all 128 numbers of a crop, never Fourier
    flat = crops.flatten(1).double()
    covariance = torch.cov(flat.T)
    a, b = 0.8, 0.6
    z_t = a * flat[:1] + b * torch.randn((1, 128), generator=generator(), dtype=torch.float64)
    total = a**2 * covariance + b**2 * torch.eye(128, dtype=torch.float64)
    rest = torch.linalg.solve(total, (z_t - a * flat.mean(0)).T)
    expected = (flat.mean(0) + (a * covariance @ rest).T).reshape(1, 2, 4, 4, 4)
    found = gaussian.denoise(z_t.float().reshape(1, 2, 4, 4, 4), a, b)
    assert mean_error(found, expected) < 0.02 * mean_error(expected, torch.zeros(()))


@pytest.mark.parametrize("sigma", [0.3, 1.0, 3.0])
def test_knowing_the_covariance_is_never_worse_than_knowing_the_variance(sigma):
    crops = smooth_crops(500)
    crops = (crops - crops.mean((0, 2, 3, 4), True)) / crops.std((0, 2, 3, 4), keepdim=True)
    a = (1.0 + sigma**2) ** -0.5
    z_t = a * crops + a * sigma * torch.randn(crops.shape, generator=generator())
    white, stationary = a * z_t, fit(crops).denoise(z_t, a, a * sigma)
    assert mean_error(stationary, crops) < 0.95 * mean_error(white, crops)
