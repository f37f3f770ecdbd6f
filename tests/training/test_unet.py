from dataclasses import replace

import pytest
import torch

from inversesr.priors.networks.unet import SuperResolutionShape, SuperResolutionUNet
from inversesr.training import unet
from inversesr.training.degradation import degrade
from inversesr.training.device_batches import batches_on
from inversesr.training.loop import LoopConfig
from inversesr.training.patches import PatchConfig
from inversesr.training.unet import (
    SuperResolutionConfig,
    psnr_gain,
    train_unet,
    unet_loss,
)
from tests.support.training_data import write_scans

CONFIG = SuperResolutionConfig(
    shape=SuperResolutionShape(widths=(4, 4, 4), n_blocks=(1, 1, 1), n_embedding=4),
    patches=PatchConfig(shape=(8, 8, 32), n_patches=1),
    easy_patches=PatchConfig(shape=(8, 8, 16), n_patches=1),
    n_easy_steps=1,
    schedule=LoopConfig(n_steps=2, n_warm_up=1, log_every=1, validate_every=1),
    held_out=("sub-02",),
)


@pytest.fixture
def data_dir(tmp_path):
    return write_scans(tmp_path, (16, 16, 32))


def test_training_runs_from_files_to_averaged_weights(data_dir, tmp_path):
    net = train_unet([data_dir], CONFIG, tmp_path / "run", resume=False)
    assert net.head.weight.abs().max() > 0.0
    header = (tmp_path / "run" / "validation.csv").read_text().splitlines()[0]
    assert header == "step,gain_db_4_0,gain_db_6_0"


def test_the_same_seed_trains_the_same_network(data_dir, tmp_path):
    nets = [train_unet([data_dir], CONFIG, tmp_path / name, resume=False) for name in "ab"]
    for first, second in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(first, second)


def test_the_loss_vanishes_when_the_start_is_the_truth():
    generator = torch.Generator().manual_seed(0)
    batch = degrade(torch.zeros(8, 8, 32), CONFIG.patches.degradation, generator)
    blank = type(batch)(
        batch.truth, torch.zeros_like(batch.start), batch.slices, batch.null,
        torch.zeros_like(batch.measured), batch.noise,
    )  # fmt: skip
    loss = unet_loss(SuperResolutionUNet(CONFIG.shape), blank, CONFIG)
    assert float(loss.detach()) == 0.0


def test_training_starts_on_easy_patches(data_dir, tmp_path, monkeypatch):
    lengths = []

    def watched(scans, patches, device):
        draw = batches_on(scans, patches, device)

        def drawn(generator):
            lengths.append(patches.shape[-1])
            return draw(generator)

        return drawn

    monkeypatch.setattr(unet, "batches_on", watched)
    schedule = replace(CONFIG.schedule, n_steps=3)
    config = replace(CONFIG, n_easy_steps=2, schedule=schedule)
    train_unet([data_dir], config, tmp_path, resume=False)
    assert lengths == [16, 16, 32]


def test_an_untrained_network_gains_only_what_data_consistency_gives():
    truth = torch.rand((8, 8, 32), generator=torch.Generator().manual_seed(0)) + 0.1
    gain = psnr_gain(SuperResolutionUNet(CONFIG.shape), truth, 4, torch.float32)
    assert 0.0 <= gain < 3.0
