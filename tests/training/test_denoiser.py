import csv

import pytest
import torch

from inversesr.priors.networks.local_autoencoder import LocalAutoencoder
from inversesr.priors.schedule import make_schedule
from inversesr.training.denoiser import denoiser_loss, draw_noisy, train_denoiser
from inversesr.training.denoiser_config import DenoiserConfig, DenoiserShape
from inversesr.training.latents import draw_crops, encode_scans
from inversesr.training.loop import LoopConfig
from inversesr.training.scans import read_scan
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


def test_the_target_leads_back_to_the_clean_latent(latents):
    schedule = make_schedule(CONFIG.noise)
    batch = draw_noisy(latents, schedule, CONFIG, torch.Generator().manual_seed(1))
    z = draw_crops(latents, CONFIG.n_crops, CONFIG.crop, torch.Generator().manual_seed(1))
    a, b = (level[batch.t].float()[:, None, None, None, None]
            for level in (schedule.signal, schedule.noise))  # fmt: skip
    assert torch.allclose(a * batch.z_t - b * batch.v, z, atol=1e-5)


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
