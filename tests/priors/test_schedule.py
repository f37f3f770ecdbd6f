import math

import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors.card import ScheduleCard
from inversesr.priors.schedule import add_noise, clean_from_output, make_schedule, noise_of

BETAS = {"beta_start": 0.0015, "beta_end": 0.0205}
CARDS = {
    "scaled_linear": ScheduleCard("scaled_linear", 1000, "epsilon", arguments=BETAS),
    "linear": ScheduleCard("linear", 1000, "epsilon", arguments=BETAS),
    "cosine": ScheduleCard("cosine", 1000, "v"),
    "shifted_cosine": ScheduleCard("shifted_cosine", 1000, "v", arguments={"shift": 0.5}),
    "rectified_flow": ScheduleCard("rectified_flow", 1000, "flow", "trailing"),
}
DIFFUSIONS = [name for name in CARDS if name != "rectified_flow"]


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("name", CARDS)
def test_signal_falls_and_noise_rises(name):
    schedule = make_schedule(CARDS[name])
    assert (schedule.signal.diff() < 0).all()
    assert (schedule.noise.diff() > 0).all()


@pytest.mark.parametrize("name", DIFFUSIONS)
def test_a_diffusion_preserves_variance(name):
    schedule = make_schedule(CARDS[name])
    total = schedule.signal**2 + schedule.noise**2
    assert torch.allclose(total, torch.ones_like(total), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "monai_name", "arguments"),
    [
        ("scaled_linear", "scaled_linear_beta", BETAS),
        ("linear", "linear_beta", BETAS),
        ("cosine", "cosine", {}),
    ],
)
def test_levels_agree_with_monai(name, monai_name, arguments):
    from monai.networks.schedulers import DDPMScheduler

    theirs = DDPMScheduler(1000, monai_name, **arguments).alphas_cumprod.double()
    ours = make_schedule(CARDS[name]).signal ** 2
    assert torch.allclose(ours, theirs, rtol=2e-3 if name == "cosine" else 1e-4, atol=1e-7)


def test_a_shift_of_one_is_the_plain_cosine_in_continuous_time():
    card = ScheduleCard("shifted_cosine", 99, "v", arguments={"shift": 1.0})
    u = torch.arange(1, 100, dtype=torch.float64) / 100
    assert torch.allclose(make_schedule(card).signal, torch.cos(math.pi * u / 2), atol=1e-12)


@pytest.mark.parametrize("arguments", [{}, {"beta_start": 0.1}, {**BETAS, "gamma": 1.0}])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(InputError, match=r"expected \['beta_end', 'beta_start'\]"):
        make_schedule(ScheduleCard("linear", 10, "epsilon", arguments=arguments))


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
@pytest.mark.parametrize("t", [0, 400, 999])
def test_every_prediction_of_the_truth_gives_back_the_truth(prediction, t):
    schedule = make_schedule(ScheduleCard("scaled_linear", 1000, prediction, arguments=BETAS))
    z, eps = randn(3, 4, seed=1), randn(3, 4, seed=2)
    z_t = add_noise(schedule, z, t, eps)
    a, b = schedule.level(t)
    output = {"epsilon": eps, "v": a * eps - b * z, "x0": z}[prediction]
    found = clean_from_output(schedule, output, z_t, t)
    assert torch.allclose(found, z, atol=1e-10)
    assert torch.allclose(noise_of(schedule, z_t, found, t), eps, atol=1e-8)


def test_a_flow_prediction_gives_back_the_truth():
    schedule = make_schedule(CARDS["rectified_flow"])
    z, eps = randn(5, seed=1), randn(5, seed=2)
    z_t = add_noise(schedule, z, 700, eps)
    assert torch.allclose(clean_from_output(schedule, z - eps, z_t, 700), z)


def test_noise_ratio_finds_its_timestep():
    schedule = make_schedule(CARDS["scaled_linear"])
    for t in (5, 300, 990):
        a, b = schedule.level(t)
        assert schedule.timestep_of(b / a) == t
