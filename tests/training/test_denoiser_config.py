import torch

from inversesr.priors.schedule import make_schedule
from inversesr.training.denoiser_config import DenoiserConfig, DenoiserShape


def test_a_shape_builds_a_network_that_returns_latents_of_the_same_shape():
    net = DenoiserShape((4, 6), (1, 1), 8).build(5)
    z_t = torch.randn((2, 5, 8, 8, 8), generator=torch.Generator().manual_seed(0))
    assert net(z_t, torch.tensor([3, 900])).shape == z_t.shape


def test_the_noise_levels_run_from_almost_clean_to_almost_pure_noise():
    schedule = make_schedule(DenoiserConfig().noise)
    assert schedule.level(0)[1] < 0.01
    assert schedule.level(schedule.n_levels - 1)[0] < 0.01
