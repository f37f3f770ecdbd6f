from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors.card import ScheduleCard
from inversesr.priors.samplers import ddim, ddim_invert, ddim_step, timestep_path
from inversesr.priors.schedule import CLEAN, add_noise, clean_from_output, make_schedule

BETAS = {"beta_start": 0.0015, "beta_end": 0.0205}
CARDS = {
    "scaled_linear": ScheduleCard("scaled_linear", 1000, "epsilon", arguments=BETAS),
    "linear": ScheduleCard("linear", 1000, "epsilon", arguments=BETAS),
    "cosine": ScheduleCard("cosine", 1000, "v"),
    "shifted_cosine": ScheduleCard("shifted_cosine", 1000, "v", arguments={"shift": 0.5}),
    "rectified_flow": ScheduleCard("rectified_flow", 1000, "flow", "trailing"),
}


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("n_steps", [1, 7, 50, 1000])
@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
def test_a_path_has_the_steps_that_were_asked_for_and_ends_clean(spacing, n_steps):
    path = timestep_path(make_schedule(CARDS["scaled_linear"]), n_steps, spacing)
    assert len(path) == n_steps + 1
    assert path[-1] == CLEAN
    assert all(a > b for a, b in pairwise(path))


def test_leading_is_the_spacing_of_the_published_bundle():
    path = timestep_path(make_schedule(CARDS["scaled_linear"]), 50, "leading")
    assert path == [*range(980, -1, -20), CLEAN]


def test_linspace_chooses_as_monai_does():
    from monai.networks.schedulers import DDIMScheduler

    theirs = DDIMScheduler(1000)
    theirs.set_timesteps(50)
    ours = timestep_path(make_schedule(CARDS["linear"]), 50, "linspace")[:-1]
    assert np.abs(np.array(ours) - theirs.timesteps.numpy()).max() <= 1


def test_inversesr_spacing_is_the_published_one():
    schedule = make_schedule(CARDS["scaled_linear"])
    assert timestep_path(schedule, 50, "inversesr") == [*range(981, 0, -20), 0]
    # 46 steps asked for: a stride of 21 makes 48 of them
    path = timestep_path(schedule, 46, "inversesr")
    assert path == [*range(988, 0, -21), 0]
    assert len(path) == 49


def test_flow_timesteps_are_those_of_monai():
    from monai.networks.schedulers import RFlowScheduler

    theirs = RFlowScheduler(1000)
    theirs.set_timesteps(30)
    path = timestep_path(make_schedule(CARDS["rectified_flow"]), 30)
    # MONAI passes its timesteps through float16
    assert np.abs(np.array(path[:-1]) - theirs.timesteps.numpy()).max() <= 1
    assert path[-1] == 0


@pytest.mark.parametrize("n_voxels", [16**3, 32**3, 64**3, 64 * 64 * 48])
def test_large_latents_move_the_timesteps_of_a_flow_as_monai_does(n_voxels):
    from monai.networks.schedulers import RFlowScheduler

    theirs = RFlowScheduler(1000, use_discrete_timesteps=False, use_timestep_transform=True)
    theirs.set_timesteps(30, input_img_size_numel=n_voxels)
    card = replace(CARDS["rectified_flow"], arguments={"base_voxels": 32.0**3})
    path = timestep_path(make_schedule(card), 30, n_voxels=n_voxels)
    assert np.abs(np.array(path[:-1]) - theirs.timesteps.numpy()).max() <= 1
    assert path[-1] == 0
    even = timestep_path(make_schedule(card), 30)
    assert (path == even) == (n_voxels == 32**3)


def test_timesteps_that_coincide_after_they_were_moved_are_visited_once():
    card = replace(CARDS["rectified_flow"], arguments={"base_voxels": 1.0})
    path = timestep_path(make_schedule(card), 1000, n_voxels=1000)
    assert path == sorted(set(path), reverse=True)
    assert path[0] == 1000
    assert path[-1] == 0


@pytest.mark.parametrize(
    ("n_steps", "spacing"),
    [(0, "leading"), (1001, "linspace"), (10, "evenly"), (501, "inversesr")],
)
def test_impossible_paths_are_refused(n_steps, spacing):
    with pytest.raises(InputError):
        timestep_path(make_schedule(CARDS["linear"]), n_steps, spacing)


def test_leading_spacing_is_refused_for_a_flow():
    with pytest.raises(InputError, match="does not fit a flow"):
        timestep_path(make_schedule(CARDS["rectified_flow"]), 10, "leading")


@pytest.mark.parametrize("t", [3, 500, 999])
@pytest.mark.parametrize("name", CARDS)
def test_a_step_with_the_true_latent_lands_on_its_noisy_version(name, t):
    schedule = make_schedule(CARDS[name])
    z, eps = randn(5, seed=1), randn(5, seed=2)
    z_t = add_noise(schedule, z, t, eps)
    for s in (t // 2, 1):
        expected = add_noise(schedule, z, s, eps)
        assert torch.allclose(ddim_step(schedule, z_t, z, (t, s)), expected, atol=1e-9)
    assert torch.equal(ddim_step(schedule, z_t, z, (t, CLEAN)), z)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_step_is_formula_12_of_the_paper(eta):
    schedule = make_schedule(CARDS["scaled_linear"])
    z_t, output = randn(6, seed=1), randn(6, seed=2)
    t, s = 640, 600
    betas = np.linspace(0.0015**0.5, 0.0205**0.5, 1000) ** 2
    power = np.cumprod(1 - betas)
    sd = eta * np.sqrt((1 - power[s]) / (1 - power[t])) * np.sqrt(1 - power[t] / power[s])
    x0 = (z_t.numpy() - np.sqrt(1 - power[t]) * output.numpy()) / np.sqrt(power[t])
    fresh = randn(6, seed=3).numpy()
    expected = np.sqrt(power[s]) * x0 + np.sqrt(1 - power[s] - sd**2) * output.numpy() + sd * fresh
    z0 = clean_from_output(schedule, output, z_t, t)
    generator = torch.Generator().manual_seed(3)
    found = ddim_step(schedule, z_t, z0, (t, s), eta, generator)
    assert np.allclose(found.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_steps_agree_with_monai_where_it_strides_as_it_spaces(prediction):
    from monai.networks.schedulers import DDIMScheduler

    names = {"epsilon": "epsilon", "v": "v_prediction"}
    theirs = DDIMScheduler(
        1000, "scaled_linear_beta", clip_sample=False, prediction_type=names[prediction], **BETAS
    )
    theirs.set_timesteps(50)
    ours = make_schedule(ScheduleCard("scaled_linear", 1000, prediction, arguments=BETAS))
    z_t, output = randn(6, seed=1).float(), randn(6, seed=2).float()
    for t, s in ((980, 960), (20, 0), (0, CLEAN)):
        expected, expected_clean = theirs.step(output, t, z_t)
        clean = clean_from_output(ours, output, z_t, t)
        assert torch.allclose(clean, expected_clean, atol=1e-4)
        assert torch.allclose(ddim_step(ours, z_t, clean, (t, s)), expected, atol=1e-4)


def test_flow_steps_agree_with_monai():
    from monai.networks.schedulers import RFlowScheduler

    theirs = RFlowScheduler(1000)
    theirs.set_timesteps(10)
    ours = make_schedule(CARDS["rectified_flow"])
    z_t, output = randn(6, seed=1), randn(6, seed=2)
    for t, s in ((1000, 900), (300, 200), (100, 0)):
        expected, _ = theirs.step(output, t, z_t, s)
        clean = clean_from_output(ours, output, z_t, t)
        assert torch.allclose(ddim_step(ours, z_t, clean, (t, s)), expected, atol=1e-9)


def gaussian_denoiser(schedule, variance):
    """Return the exact denoiser of z ~ N(0, variance), elementwise."""

    def denoise(z_t, t):
        a, b = schedule.level(t)
        return variance * a / (a * a * variance + b * b) * z_t

    return denoise


@pytest.mark.parametrize("name", CARDS)
def test_many_deterministic_steps_carry_noise_onto_the_gaussian_prior(name):
    schedule = make_schedule(CARDS[name])
    variance = torch.tensor([0.25, 0.5, 1.0, 4.0], dtype=torch.float64)
    path = timestep_path(schedule, 1000, "trailing" if name == "rectified_flow" else "linspace")
    # the exact probability flow maps noise to noise * sd of the prior (up to what the noisiest
    # level still holds of the signal)
    noise = torch.ones(4, dtype=torch.float64)
    a, b = schedule.level(path[0])
    start = noise * (a * a * variance + b * b).sqrt()
    found = ddim(schedule, gaussian_denoiser(schedule, variance), start, path)
    assert torch.allclose(found, variance.sqrt(), rtol=0.05)


@pytest.mark.parametrize("name", CARDS)
def test_corrected_inversion_is_undone_by_sampling(name):
    schedule = make_schedule(CARDS[name])
    denoise = gaussian_denoiser(schedule, torch.tensor([0.3, 1.0, 2.0], dtype=torch.float64))
    path = timestep_path(schedule, 50, "trailing")
    # the very noisiest level of some schedules holds next to no signal: invert to below it
    path = [t for t in path if t < 0.9 * schedule.n_levels]
    z = randn(4, 3, seed=4)
    errors = [
        (ddim(schedule, denoise, ddim_invert(schedule, denoise, z, path, k), path) - z).abs().max()
        for k in (0, 30)
    ]
    assert errors[1] < 1e-6
    assert errors[1] < errors[0]
