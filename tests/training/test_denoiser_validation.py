import pytest
import torch

from inversesr.priors.networks.local_autoencoder import LocalAutoencoder
from inversesr.priors.schedule import make_schedule
from inversesr.training.denoiser_config import DenoiserConfig, DenoiserShape
from inversesr.training.denoiser_validation import make_validation_crops, validate
from inversesr.training.latents import encode_scans
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


def test_an_untrained_denoiser_takes_latents_for_white(data_dir, autoencoder, latents):
    held_out = read_scans([data_dir / "sub-02_T1w.nii.gz"])
    trial = make_validation_crops(autoencoder, held_out, latents, CONFIG)
    schedule = make_schedule(CONFIG.noise)
    figures = validate(CONFIG.shape.build(8), trial, schedule, torch.float32)
    a, b = schedule.level(schedule.timestep_of(1.0))
    expected = a * (a * trial.crops + b * trial.eps) - trial.crops
    assert figures["network_1"] == pytest.approx(float(expected.square().mean()))
    assert figures["stationary_1"] != pytest.approx(figures["white_1"], rel=1e-2)


def test_without_held_out_scans_there_are_no_figures(autoencoder, latents):
    trial = make_validation_crops(autoencoder, [], latents, CONFIG)
    assert validate(CONFIG.shape.build(8), trial, make_schedule(CONFIG.noise), torch.float32) == {}
