import pytest
import torch

from inversesr.priors.residual_diffusion import draw_residual, noise_levels
from tests.support.laws import normal

# a Gaussian residual in its eigenbasis: variances of what no slice shows, and what slices show
VARIANCES = torch.tensor([0.1, 0.05, 0.02, 0.01], dtype=torch.float64) ** 2
N_SEEN = 2


def project(v):
    """Remove the last two entries: what the slices show."""
    return torch.cat([v[..., :-N_SEEN], torch.zeros_like(v[..., -N_SEEN:])], dim=-1)


def exact(r, sigma, mean=0.0):
    """The posterior mean of a Gaussian residual of a mean; what slices show is 0.3."""
    found = mean + VARIANCES / (VARIANCES + sigma**2) * (r[..., :-N_SEEN] - mean)
    return torch.cat([found, torch.full_like(r[..., -N_SEEN:], 0.3)], dim=-1)


def test_levels_fall_by_equal_factors_and_end_at_zero():
    levels = noise_levels(5, 1.0, 0.0001)
    assert levels == pytest.approx([1.0, 0.1, 0.01, 0.001, 0.0001, 0.0])
    assert noise_levels(1) == [1.0, 0.0]


def test_one_step_is_the_mean():
    noise = normal((100, 6), 0)
    found = draw_residual(lambda r, s: exact(r, s, 0.7), project, noise, [1e6, 0.0])
    torch.testing.assert_close(found[:, :4], torch.full_like(found[:, :4], 0.7), atol=1e-3, rtol=0)


@pytest.mark.parametrize("mean", [0.0, 0.2])
def test_many_steps_draw_from_the_posterior(mean):
    noise = normal((20000, 6), 0)
    levels = noise_levels(200, 10.0, 1e-4)
    found = draw_residual(lambda r, s: exact(r, s, mean), project, noise, levels)
    # the flow from finite noise leaves a little of its start in the mean
    assert float((found[:, :4].mean(0) - mean).abs().max()) < 0.005
    torch.testing.assert_close(found[:, :4].var(0), VARIANCES, rtol=0.08, atol=0.0)


def test_the_usual_twelve_steps_spread_a_little_less_than_the_posterior():
    noise = normal((20000, 6), 0)
    found = draw_residual(exact, project, noise, noise_levels(12))[:, :4]
    ratio = (found.var(0) / VARIANCES).sqrt()
    assert float(ratio.min()) > 0.7
    assert float(ratio.max()) < 1.05


def test_what_slices_show_is_its_mean_and_carries_no_noise():
    noise = normal((50, 6), 0)
    found = draw_residual(exact, project, noise, noise_levels(12))
    torch.testing.assert_close(found[:, -N_SEEN:], torch.full((50, N_SEEN), 0.3).double())
