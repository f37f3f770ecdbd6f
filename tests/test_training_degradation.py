import numpy as np
import pytest
import torch

from inversesr.operators.slice_profile import PROFILES
from inversesr.priors.warmstart import SliceGeometry
from inversesr.training.degradation import (
    DegradationConfig,
    add_rician_noise,
    collate,
    degrade,
    draw_geometry,
    draw_profile,
    slice_maps,
)

NOISELESS = DegradationConfig(noisy=0.0, max_thickness=5.0)
OVERHANG = SliceGeometry(thickness=4.0, spacing=5.2, first_centre=1.1)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_the_lock_keeps_the_truth_when_there_is_no_noise(generator):
    batch = degrade(torch.rand((3, 4, 48), generator=generator), NOISELESS, generator)
    assert torch.allclose(batch.lock(batch.truth), batch.truth, atol=1e-5)


def test_the_start_is_locked(generator):
    batch = degrade(torch.rand((3, 4, 48), generator=generator), DegradationConfig(), generator)
    assert torch.allclose(batch.lock(batch.start), batch.start, atol=1e-5)


def test_the_lock_is_a_projection(generator):
    batches = [degrade(torch.rand((3, 4, 48), generator=generator), NOISELESS, generator)
               for _ in range(2)]  # fmt: skip
    batch = collate(batches)
    once = batch.lock(torch.rand((2, 1, 3, 4, 48), generator=generator))
    assert torch.allclose(batch.lock(once), once, atol=1e-5)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_a_locked_image_reproduces_the_slices(profile, generator):
    maps = slice_maps(OVERHANG, profile, 40)
    y = torch.rand((2, len(maps.A)), generator=generator)
    x = torch.rand((2, 40), generator=generator) @ maps.null.T + y @ maps.pinv.T
    assert torch.allclose(x @ maps.A.T, y, atol=1e-4)


def test_whole_touching_slices_are_means_of_their_voxels():
    x = torch.arange(12.0)
    maps = slice_maps(SliceGeometry(3.0, 3.0, 1.0), "rect", 12)
    assert torch.allclose(maps.A @ x, x.reshape(4, 3).mean(dim=1))


def test_the_spline_passes_through_the_slice_centres():
    maps = slice_maps(SliceGeometry(3.0, 4.0, 2.0), "rect", 40)
    y = torch.sin(torch.arange(10.0))
    assert torch.allclose((maps.spline @ y)[2::4], y, atol=1e-4)


def test_the_spline_keeps_a_constant():
    maps = slice_maps(OVERHANG, "rect", 40)
    assert torch.allclose(maps.spline.sum(dim=1), torch.ones(40), atol=1e-5)


def test_drawn_slices_stay_within_their_limits(generator):
    config = DegradationConfig()
    for _ in range(200):
        geometry = draw_geometry(config, generator)
        assert config.min_thickness <= geometry.thickness <= config.max_thickness
        assert 1.0 - config.max_gap <= geometry.thickness / geometry.spacing + 1e-9
        assert geometry.thickness <= geometry.spacing


def test_every_profile_is_drawn(generator):
    assert {draw_profile(generator) for _ in range(100)} == set(PROFILES)


def test_rician_noise_of_zero_strength_changes_nothing(generator):
    y = torch.rand((5, 5), generator=generator)
    assert torch.allclose(add_rician_noise(y, 0.0, generator), y)


def test_rician_noise_in_the_background_has_the_rayleigh_mean(generator):
    noisy = add_rician_noise(torch.zeros(20_000), 0.02, generator)
    assert float(noisy.mean()) == pytest.approx(0.02 * np.sqrt(np.pi / 2.0), rel=0.02)
