import csv
import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch

from inversesr.priors.networks.block_autoencoder import BlockAutoencoder
from inversesr.priors.schedule import make_schedule
from inversesr.training import whole_denoiser
from inversesr.training.brains import UNKNOWN, VARIABLES, read_brains
from inversesr.training.denoiser_config import DenoiserShape
from inversesr.training.loop import LoopConfig
from inversesr.training.whole_denoiser import (
    WholeDenoiserConfig,
    denoiser_loss,
    draw_noisy,
    emphasised,
    encode_brains,
    gains,
    leave_out,
    train_whole_denoiser,
)

CONFIG = WholeDenoiserConfig(
    shape=DenoiserShape((4, 6), (1, 1), 8),
    n_brains=3,
    n_passes=2,
    schedule=LoopConfig(n_steps=4, n_warm_up=1, log_every=1, validate_every=2),
    held_out=("sub-02",),
)


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "brains"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("sub-01_T1w", "sub-02_T1w", "a_seg"):
        voxels = np.zeros((16, 24, 16), dtype=np.uint8)
        voxels[3:13, 3:21, 3:13] = rng.integers(50, 200, (10, 18, 10))
        if name.endswith("seg"):
            voxels = np.where(voxels > 0, 3, 0).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), folder / f"{name}.nii.gz")
    return folder


@pytest.fixture
def autoencoder():
    return BlockAutoencoder(9, (4, 6), (1, 1), (1, 1)).requires_grad_(False)


@pytest.fixture
def brains(data_dir, autoencoder):
    paths = sorted(data_dir.glob("*.nii.gz"))
    return encode_brains(autoencoder, read_brains(paths), CONFIG, n_passes=2)


def test_training_runs_from_files_to_averaged_weights_and_encodes_once(
    data_dir, autoencoder, tmp_path, monkeypatch
):
    run = tmp_path / "run"
    net = train_whole_denoiser([data_dir], autoencoder, CONFIG, run, resume=False)
    assert net.head.weight.abs().max() > 0.0
    rows = list(csv.DictReader((run / "validation.csv").read_text().splitlines()))
    assert {"error_0.3", "error_10"} <= set(rows[0])
    told = json.loads((run / "latents.json").read_text())["statistics"]["mean"]

    def never(*_arguments, **_more):
        raise AssertionError

    monkeypatch.setattr(whole_denoiser, "encode_brains", never)
    again = whole_denoiser.encoded(autoencoder, [], CONFIG, run / "latents.safetensors")
    assert len(again.latents.volumes) == len(again.known) == 4
    assert torch.allclose(again.latents.mean, torch.tensor(told), atol=1e-6)


def test_the_target_leads_back_to_the_clean_latent_and_maps_follow_it(brains):
    schedule = make_schedule(CONFIG.noise)
    batch = draw_noisy(brains, schedule, CONFIG, torch.Generator().manual_seed(1))
    a, b = (
        level[batch.t].float()[:, None, None, None, None]
        for level in (schedule.signal, schedule.noise)
    )
    z_t = batch.z_t[:, :9]
    clean = brains.latents.whitened(torch.stack(brains.latents.volumes))
    for z in a * z_t - b * batch.v:
        assert min(float((z - other).abs().max()) for other in clean) < 1e-4
    maps = batch.z_t[:, 9:]
    assert maps.shape[1] == len(VARIABLES)
    assert torch.equal(maps.amin(dim=(2, 3, 4)), maps.amax(dim=(2, 3, 4)))


def test_a_batch_takes_its_noise_from_every_part_of_the_schedule(brains):
    schedule = make_schedule(CONFIG.noise)
    for seed in range(5):
        batch = draw_noisy(brains, schedule, CONFIG, torch.Generator().manual_seed(seed))
        assert sorted((3 * batch.t // schedule.n_levels).tolist()) == [0, 1, 2]


def test_variables_are_left_out_as_often_as_asked_for():
    known = torch.full((4000, 4), 0.5)
    found = leave_out(known, 0.2, torch.Generator().manual_seed(0))
    assert set(found.unique().tolist()) == {0.5, UNKNOWN}
    # by itself or with all others
    assert float((found == UNKNOWN).float().mean()) == pytest.approx(1 - 0.8**2, abs=0.02)
    assert float((found == UNKNOWN).all(dim=1).float().mean()) == pytest.approx(0.2, abs=0.02)
    assert torch.equal(leave_out(known, 0.0, torch.Generator()), known)


def test_training_lowers_the_loss_on_one_batch(brains):
    schedule = make_schedule(CONFIG.noise)
    batch = draw_noisy(brains, schedule, CONFIG, torch.Generator().manual_seed(1))
    net = whole_denoiser.LocalDenoiser(9, (8, 12), (1, 1), 16, len(VARIABLES))
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3)
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        loss = denoiser_loss(net, batch, torch.float32)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_channels_are_as_large_as_the_image_shows_them(brains, autoencoder):
    with torch.no_grad():
        # the image hardly shows the last channel
        autoencoder.synthesis.weight[-1] *= 1e-3
    before = brains.latents.std
    plain, full = (
        emphasised(brains, autoencoder, replace(CONFIG, emphasis=power)).latents
        for power in (0.0, 1.0)
    )
    torch.testing.assert_close(plain.std, before)
    crop = torch.stack(full.volumes)
    sizes = full.whitened(crop).transpose(0, 1).flatten(1).std(1)
    assert sizes.square().mean() == pytest.approx(1.0, abs=0.05)
    assert sizes[-1] < 0.1 * sizes[:-1].min()
    effects = gains(autoencoder, brains.latents, torch.float32)
    torch.testing.assert_close(sizes / sizes[0], effects / effects[0], rtol=0.02, atol=1e-3)
