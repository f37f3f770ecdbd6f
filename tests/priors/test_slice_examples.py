import numpy as np
import pytest
import torch

from inversesr.operators.slice_profile import PROFILES
from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.priors.slice_examples import (
    add_rician_noise,
    charbonnier,
    consistent_error,
    make_example,
    slice_maps,
)

OVERHANG = SliceGeometry(thickness=4.0, spacing=5.2, first_centre=1.1)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_a_data_consistencyed_image_reproduces_the_slices(profile, generator):
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


def test_rician_noise_of_zero_strength_changes_nothing(generator):
    y = torch.rand((5, 5), generator=generator)
    assert torch.allclose(add_rician_noise(y, 0.0, generator), y)


def test_rician_noise_in_the_background_has_the_rayleigh_mean(generator):
    noisy = add_rician_noise(torch.zeros(20_000), 0.02, generator)
    assert float(noisy.mean()) == pytest.approx(0.02 * np.sqrt(np.pi / 2.0), rel=0.02)


def test_the_error_after_data_consistency_knows_only_what_slices_do_not_show(generator):
    truth = torch.rand((3, 4, 48), generator=generator)
    example = make_example(truth, OVERHANG, "rect", 0.0, generator)
    seen = example.start - example.make_consistent(torch.zeros_like(example.start))
    shown = example.start - torch.einsum("bcxyk,bzk->bcxyz", example.start, example.null)
    errors = [consistent_error(x, example, 0.1, 0.25) for x in (seen, seen + 3.0 * shown)]
    torch.testing.assert_close(errors[0], errors[1])
    assert float(consistent_error(example.truth, example, 0.1, 0.25)) < 1e-6


def test_the_penalty_is_squared_near_zero_and_absolute_far_away():
    assert float(charbonnier(torch.tensor([1e-3]), 0.1)) == pytest.approx(1e-6 / 0.2, rel=1e-2)
    assert float(charbonnier(torch.tensor([10.0]), 0.1)) == pytest.approx(9.9, rel=1e-2)


def test_a_batch_moves_whole(generator):
    batch = make_example(
        torch.rand((3, 4, 48), generator=generator), OVERHANG, "rect", 0.0, generator
    )
    moved = batch.to(torch.device("meta"))
    assert all(tensor.is_meta for tensor in vars(moved).values())
