import pytest
import torch

from inversesr.priors.networks.slice_geometry import SliceGeometry
from inversesr.priors.networks.unet import (
    SuperResolutionShape,
    SuperResolutionUNet,
    describe,
    slice_phases,
)

SMALL = SuperResolutionShape(widths=(4, 6, 8), n_blocks=(1, 1, 1), n_embedding=8)
SLICES = SliceGeometry(thickness=4.0, spacing=5.0, first_centre=1.5)


def random_volume(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def test_an_untrained_network_is_the_identity():
    x = random_volume(2, 1, 8, 16, 8)
    slices = SLICES.as_tensor().expand(2, 3)
    assert torch.equal(SuperResolutionUNet(SMALL)(x, slices), x)


def test_the_phase_repeats_every_slice():
    phases = slice_phases(torch.tensor([[4.0, 6.0, 2.3]]), 24)
    assert torch.allclose(phases[..., 3:], phases[..., :-3], atol=1e-5)


def test_the_phase_is_zero_at_a_slice_centre():
    cosine, sine = slice_phases(torch.tensor([[4.0, 6.0, 2.0]]), 8)[0, [0, 2], 1]
    assert (float(cosine), float(sine)) == pytest.approx((1.0, 0.0), abs=1e-6)


def test_the_phase_does_not_depend_on_which_slice_is_named_first():
    first = slice_phases(torch.tensor([[4.0, 6.0, 2.0]]), 16)
    assert torch.allclose(first, slice_phases(torch.tensor([[4.0, 6.0, 14.0]]), 16), atol=1e-5)


def test_the_description_tells_touching_slices_from_slices_with_a_gap():
    rows = describe(torch.tensor([[4.0, 4.0, 0.0], [4.0, 5.0, 0.0]]))
    assert rows[0, 2] == 1.0
    assert rows[1, 2] == pytest.approx(0.8)
