import pytest
import torch

from inversesr.priors.networks.local_autoencoder import LocalAutoencoder
from inversesr.training.denoiser_config import DenoiserConfig, DenoiserShape
from inversesr.training.latents import draw_crops, encode_scans, vary_scan
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
