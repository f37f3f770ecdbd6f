import math
from dataclasses import replace

import pytest
import torch

from inversesr.priors.networks.conditional_denoiser import (
    HIGHEST_SIGMA,
    LOWEST_SIGMA,
    RESIDUAL_SD,
    ConditionalDenoiser,
)
from inversesr.priors.networks.unet import SuperResolutionShape
from inversesr.training.conditional import (
    ConditionalConfig,
    NoisyExamples,
    add_noise,
    denoising_loss,
    draw_level,
    train_conditional,
)
from inversesr.training.degradation import DegradationConfig, degrade
from inversesr.training.loop import LoopConfig
from inversesr.training.patches import PatchConfig
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.training_data import write_scans

CONFIG = ConditionalConfig(
    shape=SuperResolutionShape(widths=(4, 4, 4), n_blocks=(1, 1, 1), n_embedding=4),
    patches=PatchConfig(shape=(8, 8, 32), n_patches=2),
    schedule=LoopConfig(n_steps=2, n_warm_up=1, log_every=1, validate_every=1),
    held_out=("sub-02",),
)
QUIET = DegradationConfig(noisy=0.0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def patch(seed=0, shape=(24, 24, 32)):
    return torch.rand(shape, generator=generator(seed))


@torch.no_grad()
def cost(batch):
    """The loss of an untrained network."""
    return float(denoising_loss(ConditionalDenoiser(CONFIG.shape), batch, torch.float32))


def test_training_runs_from_files_to_averaged_weights(tmp_path):
    data_dir = write_scans(tmp_path, (16, 16, 32))
    net = train_conditional([data_dir], CONFIG, tmp_path / "run", resume=False)
    assert net.noisy.weight.abs().max() > 0.0
    header = (tmp_path / "run" / "validation.csv").read_text().splitlines()[0]
    assert header == "step,gain_db_4_0,gain_db_6_0"


def test_the_same_seed_trains_the_same_network(tmp_path):
    data_dir = write_scans(tmp_path, (16, 16, 32))
    nets = [train_conditional([data_dir], CONFIG, tmp_path / name, resume=False) for name in "ab"]
    for first, second in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(first, second)


def test_noise_lies_where_no_slice_sees_it():
    examples = degrade(patch(), QUIET, generator())
    batch = add_noise(examples, replace(CONFIG, highest=0.0), generator(1))
    torch.testing.assert_close(examples.unseen(batch.residual), batch.residual, atol=1e-4, rtol=0)
    away = batch.residual - examples.unseen(examples.truth - examples.start)
    unseen_share = float(torch.diagonal(examples.null[0]).mean())
    expected = float(batch.sigma) * unseen_share**0.5
    assert float(away.std()) == pytest.approx(expected, rel=0.05)


def test_levels_reach_from_the_lowest_to_the_highest_noise_and_a_share_is_the_highest():
    config = replace(CONFIG, highest=0.2, median_level=0.06, level_spread=1.2)
    levels = torch.tensor([draw_level(config, generator(seed)) for seed in range(1000)])
    assert float(levels.min()) >= LOWEST_SIGMA
    assert float(levels.max()) == HIGHEST_SIGMA
    assert float((levels == HIGHEST_SIGMA).float().mean()) == pytest.approx(0.2, abs=0.04)
    below = levels[levels < HIGHEST_SIGMA].log()
    assert float(below.median()) == pytest.approx(math.log(0.06), abs=0.2)
    assert float(below.std()) == pytest.approx(1.2, abs=0.15)


@pytest.mark.parametrize("sigma", [LOWEST_SIGMA, 0.05, 0.5])
def test_who_knows_nothing_but_variances_pays_one_at_every_level(sigma):
    # a residual of the variance that is assumed, in full what no slice shows
    examples = degrade(torch.zeros(32, 32, 32), QUIET, generator())
    r = RESIDUAL_SD * torch.randn(examples.truth.shape, generator=generator(1))
    examples.truth.copy_(examples.unseen(r))
    level = torch.tensor([sigma])
    noisy = examples.unseen(r + sigma * torch.randn(r.shape, generator=generator(2)))
    batch = NoisyExamples(examples, level, noisy)
    unseen_share = float(torch.diagonal(examples.null[0]).mean())
    assert cost(batch) == pytest.approx(unseen_share, rel=0.05)


def test_an_error_that_slices_show_costs_too():
    examples = degrade(torch.zeros(16, 16, 32), QUIET, generator())
    batch = NoisyExamples(examples, torch.tensor([0.1]), torch.zeros_like(examples.truth))
    assert cost(batch) == pytest.approx(0.0, abs=1e-6)
    # a constant is seen by every slice
    examples.truth.add_(2.0 * RESIDUAL_SD)
    assert cost(batch) == pytest.approx(4.0, rel=0.1)
