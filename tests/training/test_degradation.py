import pytest
import torch

from inversesr.operators.slice_profile import PROFILES
from inversesr.priors.slice_examples import collate
from inversesr.training.degradation import (
    DegradationConfig,
    degrade,
    draw_geometry,
    draw_profile,
)

NOISELESS = DegradationConfig(noisy=0.0, max_thickness=5.0)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_data_consistency_keeps_the_truth_when_there_is_no_noise(generator):
    batch = degrade(torch.rand((3, 4, 48), generator=generator), NOISELESS, generator)
    assert torch.allclose(batch.make_consistent(batch.truth), batch.truth, atol=1e-5)


def test_the_start_is_consistent(generator):
    batch = degrade(torch.rand((3, 4, 48), generator=generator), DegradationConfig(), generator)
    assert torch.allclose(batch.make_consistent(batch.start), batch.start, atol=1e-5)


def test_data_consistency_is_a_projection(generator):
    batches = [degrade(torch.rand((3, 4, 48), generator=generator), NOISELESS, generator)
               for _ in range(2)]  # fmt: skip
    batch = collate(batches)
    once = batch.make_consistent(torch.rand((2, 1, 3, 4, 48), generator=generator))
    assert torch.allclose(batch.make_consistent(once), once, atol=1e-5)


def test_drawn_slices_stay_within_their_limits(generator):
    config = DegradationConfig()
    for _ in range(200):
        geometry = draw_geometry(config, generator)
        assert config.min_thickness <= geometry.thickness <= config.max_thickness
        assert 1.0 - config.max_gap <= geometry.thickness / geometry.spacing + 1e-9
        assert geometry.thickness <= geometry.spacing


def test_every_profile_is_drawn(generator):
    assert {draw_profile(generator) for _ in range(100)} == set(PROFILES)
