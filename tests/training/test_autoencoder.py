import pytest
import torch

from inversesr.training.autoencoder import (
    AutoencoderConfig,
    AutoencoderShape,
    Example,
    autoencoder_loss,
    divergence,
    draw_example,
    reconstruction_psnr,
    train_autoencoder,
)
from inversesr.training.loop import LoopConfig
from inversesr.training.patches import PatchConfig
from inversesr.training.scans import read_scan
from tests.support.training_data import write_scans

CONFIG = AutoencoderConfig(
    shape=AutoencoderShape(8, (4, 6), (1, 1), (1, 1)),
    patches=PatchConfig(shape=(8, 8, 16), n_patches=2),
    schedule=LoopConfig(n_steps=4, n_warm_up=1, log_every=1, validate_every=2),
    held_out=("sub-02",),
)


@pytest.fixture
def data_dir(tmp_path):
    return write_scans(tmp_path, (16, 18, 32))


def test_training_runs_from_files_to_averaged_weights(data_dir, tmp_path):
    net = train_autoencoder([data_dir], CONFIG, tmp_path / "run", resume=False)
    assert net.decoder.head.weight.abs().max() > 0.0
    header = (tmp_path / "run" / "validation.csv").read_text().splitlines()[0]
    assert header == "step,psnr_db_0"


def test_patches_are_drawn_in_every_orientation(data_dir):
    scans = [read_scan(data_dir / "sub-01_T1w.nii.gz")]
    generator = torch.Generator().manual_seed(0)
    shapes = {draw_example(scans, CONFIG, generator).x.shape[2:] for _ in range(12)}
    assert shapes == {(8, 8, 16), (8, 16, 8), (16, 8, 8)}


def test_training_lowers_the_loss_on_one_patch():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((1, 1, 4, 4, 4), generator=generator)
    x = torch.nn.functional.interpolate(coarse, size=(16, 16, 16), mode="trilinear")
    batch = Example(x, torch.randn((1, 8, 4, 4, 4), generator=generator))
    net = CONFIG.shape.build()
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = autoencoder_loss(net, batch, CONFIG)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_the_divergence_vanishes_for_a_standard_normal_and_is_that_of_torch():
    mean, sigma = torch.tensor([0.3, -1.0]), torch.tensor([0.5, 2.0])
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, sigma), normal(0.0, 1.0)).mean()
    assert float(divergence(mean, sigma)) == pytest.approx(float(expected))
    assert float(divergence(torch.zeros(3), torch.ones(3))) == 0.0


def test_an_image_that_survives_the_shortcut_is_reconstructed_exactly():
    coarse = torch.rand((4, 4, 4), generator=torch.Generator().manual_seed(0)) + 0.1
    x = coarse.repeat_interleave(2, 0).repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert (
        reconstruction_psnr(CONFIG.shape.build().requires_grad_(False), x, torch.float32) > 100.0
    )
