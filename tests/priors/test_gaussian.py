import pytest
import torch

from inversesr.priors.gaussian import make_gaussian_prior
from inversesr.priors.samplers import ddim, timestep_path
from inversesr.priors.schedule import add_noise, clean_from_output
from tests.support.problems import EITHER, FLOW


class KeepEverySecond:
    in_shape, out_shape = (6, 5, 8), (6, 5, 4)

    def __call__(self, x):
        return 0.5 * (x[..., ::2] + x[..., 1::2])

    def adjoint(self, y):
        return 0.5 * y.repeat_interleave(2, dim=-1)


@pytest.fixture
def prior():
    return make_gaussian_prior((6, 5, 8), (3, 2, 4))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def samples(prior, n, seed=0):
    g = generator(seed)
    return torch.stack([prior.sample(g) for _ in range(n)]).double()


def test_encoding_a_decoded_latent_gives_it_back(prior):
    z = prior.sample(generator())
    assert torch.allclose(prior.encode(prior.decode(z)), z, atol=1e-5)
    assert prior.latent_shape == (1, 3, 2, 4)
    assert prior.decode(z).shape == (6, 5, 8)


def test_encoding_is_the_adjoint_of_the_linear_part_of_decoding(prior):
    z = prior.sample(generator(1)).double()
    x = torch.randn(6, 5, 8, generator=generator(2), dtype=torch.float64)
    left = ((prior.decode(z) - 0.5) * x).sum()
    right = (z * prior.encode(x + 0.5)).sum()
    assert torch.allclose(left, right)


def test_samples_have_the_stated_spread(prior):
    drawn = samples(prior, 4000)
    assert torch.allclose(drawn.var(0), prior.variance, rtol=0.15)
    images = torch.stack([prior.decode(z) for z in drawn[:1000]])
    assert 0.05 < float(images.std(0).mean()) < 0.15


@EITHER
@pytest.mark.parametrize("t", [50, 400, 950])
def test_the_denoiser_is_the_conditional_mean(noise, t):
    prior = make_gaussian_prior((6, 5, 8), (3, 2, 4), schedule=noise)
    z = samples(prior, 6000)
    eps = torch.randn(z.shape, generator=generator(5), dtype=torch.float64)
    z_t = add_noise(prior.schedule, z, t, eps)
    error = z - prior.denoise(z_t, t)
    # the error of a conditional mean is uncorrelated with what it is conditioned on
    correlation = (error * z_t).mean(0) / (error.std(0) * z_t.std(0))
    assert correlation.abs().max() < 0.06
    a, b = prior.schedule.level(t)
    expected = prior.variance * b**2 / (a**2 * prior.variance + b**2)
    assert torch.allclose(error.var(0), expected, rtol=0.15)


@EITHER
def test_ddim_with_the_exact_denoiser_samples_the_prior(noise):
    prior = make_gaussian_prior((6, 5, 8), (3, 2, 4), schedule=noise)
    start = torch.randn(1500, *prior.latent_shape, generator=generator(), dtype=torch.float64)
    path = timestep_path(prior.schedule, 250, "linspace")
    drawn = ddim(prior.schedule, lambda z_t, t: prior.denoise(z_t, t), start, path)
    assert torch.allclose(drawn.std(0), prior.variance.sqrt(), rtol=0.15, atol=0.02)


@pytest.mark.parametrize("t", [1, 300, 999, 1000])
def test_the_exact_velocity_of_a_flow_leads_to_the_exact_denoiser(t):
    prior = make_gaussian_prior((6, 5, 8), (3, 2, 4), schedule=FLOW)
    z_t = torch.randn(prior.latent_shape, generator=generator(6), dtype=torch.float64)
    u, variance = t / 1000, prior.variance
    # E[z - eps | z_t] = Cov(z - eps, z_t) / Var(z_t) z_t for z_t = (1 - u) z + u eps
    velocity = ((1 - u) * variance - u) / ((1 - u) ** 2 * variance + u**2) * z_t
    found = clean_from_output(prior.schedule, velocity, z_t, t)
    assert torch.allclose(found, prior.denoise(z_t, t), atol=1e-12)


def test_the_denoiser_of_a_flow_is_that_of_white_noise_on_the_scaled_latent():
    prior = make_gaussian_prior((6, 5, 8), (3, 2, 4), schedule=FLOW)
    z_t = torch.randn(prior.latent_shape, generator=generator(6), dtype=torch.float64)
    for t in (10, 500, 990):
        u = t / 1000
        sigma = u / (1 - u)
        assert prior.schedule.timestep_of(sigma) == t
        white = prior.variance / (prior.variance + sigma**2) * (z_t / (1 - u))
        assert torch.allclose(prior.denoise(z_t, t), white, atol=1e-12)


def test_the_posterior_agrees_with_regression_on_joint_samples(prior):
    A, sigma = KeepEverySecond(), 0.05
    z = samples(prior, 40000, seed=3)
    a, b, c = prior.bases
    x = 0.5 + torch.einsum("nijk,xi,yj,zk->nxyz", z[:, 0], a, b, c)
    noise = torch.randn(len(z), *A.out_shape, generator=generator(4), dtype=torch.float64)
    y = (A(x) + sigma * noise).flatten(1)
    z = z.flatten(1)
    centred = y - y.mean(0)
    weights = torch.linalg.lstsq(centred, z - z.mean(0)).solution
    residual = z - z.mean(0) - centred @ weights
    one = prior.posterior(A, y[0].reshape(A.out_shape), sigma)
    predicted = (y[0] - y.mean(0)) @ weights
    scale = one.covariance.diagonal().sqrt()
    assert ((one.mean - predicted).abs() / scale).max() < 0.3
    found = residual.T @ residual / (len(z) - y.shape[1])
    assert torch.allclose(found.diagonal(), one.covariance.diagonal(), rtol=0.1)


def test_the_posterior_is_where_the_penalty_is_least(prior):
    A, sigma = KeepEverySecond(), 0.05
    y = A(prior.decode(prior.sample(generator(8)).double()))
    z = prior.posterior(A, y, sigma).mean.reshape(prior.latent_shape).requires_grad_()
    misfit = ((A(prior.decode(z)) - y) ** 2).sum() / sigma**2 + (z**2 / prior.variance).sum()
    (gradient,) = torch.autograd.grad(misfit, z)
    assert gradient.abs().max() < 1e-6


def test_image_moments_are_those_of_decoded_samples(prior):
    A = KeepEverySecond()
    y = A(prior.decode(prior.sample(generator(9)).double()))
    posterior = prior.posterior(A, y, 0.1)
    mean, sd = prior.image_moments(posterior)
    normal = torch.distributions.MultivariateNormal(posterior.mean, posterior.covariance)
    root = normal.scale_tril
    noise = torch.randn(4000, len(posterior.mean), generator=generator(), dtype=torch.float64)
    images = torch.stack(
        [prior.decode((posterior.mean + root @ e).reshape(prior.latent_shape)) for e in noise]
    )
    assert torch.allclose(images.mean(0), mean, atol=6 * float(sd.max()) / 4000**0.5)
    assert torch.allclose(images.std(0), sd, rtol=0.1)
