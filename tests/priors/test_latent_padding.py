import pytest
import torch

from inversesr.priors.card import LatentCard
from inversesr.priors.latent_padding import crop_latent, pad_latent, padded_shape


@pytest.mark.parametrize("multiple", [1, 2, 4])
def test_cutting_undoes_padding(multiple):
    latent = LatentCard(2, 8, multiple=multiple)
    z = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    shape = padded_shape(latent, (24, 40, 32))
    padded = pad_latent(z, shape)
    assert tuple(padded.shape) == shape
    assert all(n % multiple == 0 for n in shape[1:])
    assert torch.equal(crop_latent(padded, latent, (24, 40, 32)), z)
    assert padded.sum() == pytest.approx(float(z.sum()), rel=1e-5)


def test_of_an_odd_number_of_zeros_the_greater_part_comes_after():
    padded = pad_latent(torch.ones(1, 1, 2, 3), (1, 4, 4, 4))
    assert padded[0, :, 1, 0].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert padded[0, 1, :, 0].tolist() == [0.0, 1.0, 1.0, 0.0]
    assert padded[0, 1, 1].tolist() == [1.0, 1.0, 1.0, 0.0]
