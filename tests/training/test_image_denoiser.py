import dataclasses

import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors.networks.image_denoiser import ImageDenoiser
from inversesr.training.architectures import arguments_of
from inversesr.training.image_denoiser import (
    CORTEX,
    ImageDenoiserConfig,
    ImageDenoiserShape,
    NoisySlices,
    denoising_loss,
    train_image_denoiser,
    with_one_cortex,
)
from inversesr.training.image_examples import SliceConfig
from inversesr.training.loop import LoopConfig
from inversesr.training.scans import TrainingScan
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.training_data import write_scans

CONFIG = ImageDenoiserConfig(
    shape=ImageDenoiserShape(widths=(8, 8), n_blocks=(1, 1), n_embedding=4),
    slices=SliceConfig(size=16, n_slices=2),
    schedule=LoopConfig(n_steps=3, n_warm_up=1, log_every=1, validate_every=1),
    held_out=("sub-02",),
)


def test_training_runs_from_files_to_averaged_weights(tmp_path):
    data_dir = write_scans(tmp_path, (24, 24, 24))
    net = train_image_denoiser([data_dir], CONFIG, tmp_path / "run", resume=False)
    assert net.head.weight.abs().max() > 0.0
    header = (tmp_path / "run" / "validation.csv").read_text().splitlines()[0]
    assert header == "step,psnr_db_0.02,psnr_db_0.1,psnr_db_0.4"


def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path):
    data_dir = write_scans(tmp_path, (24, 24, 24))
    whole = train_image_denoiser([data_dir], CONFIG, tmp_path / "a", resume=False)
    short = dataclasses.replace(CONFIG.schedule, n_steps=1)
    begun = dataclasses.replace(CONFIG, schedule=short)
    train_image_denoiser([data_dir], begun, tmp_path / "b", resume=False)
    resumed = train_image_denoiser([data_dir], CONFIG, tmp_path / "b", resume=True)
    assert all(torch.isfinite(weight).all() for weight in resumed.parameters())
    assert len(list(whole.parameters())) == len(list(resumed.parameters()))


def test_knowing_nothing_but_the_variance_costs_about_one():
    truth = 0.3 * torch.randn((64, 2, 16, 16), generator=torch.Generator().manual_seed(0))
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    for level in (0.003, 0.1, 1.0):
        batch = NoisySlices(truth, noise, torch.full((64,), level))
        with torch.no_grad():
            cost = denoising_loss(ImageDenoiser((8, 8), (1, 1), 4), batch, torch.float32)
        assert float(cost) == pytest.approx(1.0, rel=0.05)


def test_the_size_is_read_from_the_weights():
    weights = CONFIG.shape.build().state_dict()
    assert arguments_of("ImageDenoiser", weights) == {
        "widths": [8, 8],
        "n_blocks": [1, 1],
        "n_embedding": 4,
    }


def test_regions_of_the_cortex_become_one():
    voxels = torch.tensor([0, 2, 1005, 2030], dtype=torch.int16).reshape(2, 2, 1)
    scan = with_one_cortex(TrainingScan("seg", voxels, 1.0, (0, 1, 2), 1.0))
    assert scan.voxels.flatten().tolist() == [0, 2, CORTEX, CORTEX]


def test_data_without_a_sharp_plane_is_refused(tmp_path):
    data_dir = write_scans(tmp_path, (24, 24, 24))
    with pytest.raises(InputError, match="sharp axes"):
        train_image_denoiser(
            [data_dir],
            dataclasses.replace(CONFIG, held_out=("sub",)),
            tmp_path / "run",
            resume=False,
        )
