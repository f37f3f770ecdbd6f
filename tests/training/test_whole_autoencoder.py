import csv

import nibabel
import numpy as np
import pytest
import torch

from inversesr.training.brains import read_brains
from inversesr.training.loop import LoopConfig
from inversesr.training.whole_autoencoder import (
    BlockAutoencoderShape,
    WholeAutoencoderConfig,
    autoencoder_loss,
    draw_blocks,
    draw_example,
    draw_patch,
    train_whole_autoencoder,
)

CONFIG = WholeAutoencoderConfig(
    shape=BlockAutoencoderShape(6, (4, 6), (1, 1), (1, 1)),
    side=16,
    schedule=LoopConfig(n_steps=4, n_warm_up=1, log_every=1, validate_every=2),
    held_out=("sub-02",),
)


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "brains"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("sub-01_T1w", "sub-02_T1w", "a_seg"):
        voxels = np.zeros((24, 32, 24), dtype=np.uint8)
        voxels[3:21, 3:29, 3:21] = rng.integers(50, 200, (18, 26, 18))
        if name.endswith("seg"):
            voxels = np.where(voxels > 0, 3, 0).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), folder / f"{name}.nii.gz")
    return folder


@pytest.fixture
def brains(data_dir):
    return read_brains(sorted(data_dir.glob("*.nii.gz")))


def test_training_runs_from_files_to_averaged_weights(data_dir, tmp_path):
    run = tmp_path / "run"
    net = train_whole_autoencoder([data_dir], CONFIG, run, resume=False)
    assert net.decoder.head.weight.abs().max() > 0.0
    rows = list(csv.DictReader((run / "validation.csv").read_text().splitlines()))
    assert set(rows[0]) == {"step", "psnr_db_0"}
    again = train_whole_autoencoder([data_dir], CONFIG, run, resume=True)
    for a, b in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_patches_are_of_both_kinds_and_show_brain(brains):
    generator = torch.Generator().manual_seed(0)
    patches = [draw_patch(brains, CONFIG, generator) for _ in range(12)]
    assert all(patch.shape == (16, 16, 16) for patch in patches)
    assert all(float((patch > 0).float().mean()) > 0.25 for patch in patches)


def test_the_blocks_that_are_measured_show_brain(brains):
    blocks = draw_blocks(brains, CONFIG, torch.Generator().manual_seed(0))
    assert blocks.shape[1:] == (8, 8, 8)
    assert len(blocks) > 100
    assert float((blocks > 0).float().mean(dim=(1, 2, 3)).min()) > 0.3


def test_training_lowers_the_loss_on_one_batch(brains):
    generator = torch.Generator().manual_seed(0)
    net = CONFIG.shape.build()
    net.start_from(draw_blocks(brains, CONFIG, generator))
    batch = draw_example(brains, CONFIG, generator)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(15):
        optimiser.zero_grad()
        loss = autoencoder_loss(net, batch, CONFIG)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
