import csv

import pytest
import torch

from inversesr.priors.networks.local_autoencoder import LocalAutoencoder
from inversesr.priors.schedule import make_schedule
from inversesr.training.denoiser import (
    DenoiserConfig,
    DenoiserShape,
    denoiser_loss,
    draw_crops,
    draw_noisy,
    encode_scans,
    make_trial,
    train_denoiser,
    validate,
    vary_scan,
)
from inversesr.training.loop import LoopConfig
from inversesr.training.scans import read_scan, read_scans
from tests.support.training_data import write_scans

CONFIG = DenoiserConfig(
    shape=DenoiserShape((4, 6), (1, 1), 8),
    crop=4,
    n_passes=2,
    margin=3,
    schedule=LoopConfig(n_steps=4, n_warm_up=1, log_every=1, validate_every=2),
    held_out=("sub-02",),
)


@pytest.fixture
def data_dir(tmp_path):
    return write_scans(tmp_path, (16, 18, 22))


@pytest.fixture
def autoencoder():
    return LocalAutoencoder(8, (4, 6), (1, 1), (1, 1)).requires_grad_(False)


@pytest.fixture
def latents(data_dir, autoencoder):
    return encode_scans(autoencoder, [read_scan(data_dir / "sub-01_T1w.nii.gz")], CONFIG)


def test_training_runs_from_files_to_averaged_weights(data_dir, autoencoder, tmp_path):
    run = tmp_path / "run"
    net, latents = train_denoiser([data_dir], autoencoder, CONFIG, run, resume=False)
    assert net.head.weight.abs().max() > 0.0
    assert len(latents.mean) == len(latents.std) == 8
    rows = list(csv.DictReader((run / "validation.csv").read_text().splitlines()))
    assert {"network_0.1", "white_0.1", "stationary_0.1", "network_10"} <= set(rows[0])


def test_crops_have_mean_zero_and_variance_one_by_channel(latents):
    crops = draw_crops(latents, 500, CONFIG.crop, torch.Generator().manual_seed(3))
    by_channel = crops.transpose(0, 1).flatten(1)
    assert torch.allclose(by_channel.mean(1), torch.zeros(8), atol=0.05)
    assert torch.allclose(by_channel.std(1), torch.ones(8), atol=0.05)


def test_every_pass_shows_a_scan_in_another_way(latents):
    first, second = latents.volumes
    assert first.shape != second.shape or not torch.equal(first, second)


def test_the_same_seed_makes_the_same_latents(data_dir, autoencoder, latents):
    again = encode_scans(autoencoder, [read_scan(data_dir / "sub-01_T1w.nii.gz")], CONFIG)
    for first, second in zip(latents.volumes, again.volumes, strict=True):
        assert torch.equal(first, second)


def test_a_scan_smaller_than_a_crop_is_padded_to_it(data_dir):
    scan = read_scan(data_dir / "sub-01_T1w.nii.gz")
    config = DenoiserConfig(crop=9, margin=0)
    shape = vary_scan(scan, config, torch.Generator().manual_seed(0)).shape
    assert shape == (36, 36, 36)


def test_the_target_leads_back_to_the_clean_latent(latents):
    schedule = make_schedule(CONFIG.noise)
    batch = draw_noisy(latents, schedule, CONFIG, torch.Generator().manual_seed(1))
    z = draw_crops(latents, CONFIG.n_crops, CONFIG.crop, torch.Generator().manual_seed(1))
    a, b = (level[batch.t].float()[:, None, None, None, None]
            for level in (schedule.signal, schedule.noise))  # fmt: skip
    assert torch.allclose(a * batch.z_t - b * batch.v, z, atol=1e-5)


def test_an_untrained_denoiser_takes_latents_for_white(data_dir, autoencoder, latents):
    held_out = read_scans([data_dir / "sub-02_T1w.nii.gz"])
    trial = make_trial(autoencoder, held_out, latents, CONFIG)
    schedule = make_schedule(CONFIG.noise)
    figures = validate(CONFIG.shape.build(8), trial, schedule, torch.float32)
    a, b = schedule.level(schedule.timestep_of(1.0))
    expected = a * (a * trial.crops + b * trial.eps) - trial.crops
    assert figures["network_1"] == pytest.approx(float(expected.square().mean()))
    assert figures["stationary_1"] != pytest.approx(figures["white_1"], rel=1e-2)


def test_without_held_out_scans_there_are_no_figures(autoencoder, latents):
    trial = make_trial(autoencoder, [], latents, CONFIG)
    assert validate(CONFIG.shape.build(8), trial, make_schedule(CONFIG.noise), torch.float32) == {}


def test_training_lowers_the_loss_on_one_batch(latents):
    schedule = make_schedule(CONFIG.noise)
    batch = draw_noisy(latents, schedule, CONFIG, torch.Generator().manual_seed(1))
    net = CONFIG.shape.build(8)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = denoiser_loss(net, batch, torch.float32)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.95 * losses[0]
