import pytest

from inversesr.priors.brain_ldm import (
    BRAIN_LDM,
    N_AUTOENCODER_PARAMETERS,
    N_AUTOENCODER_TENSORS,
    N_DENOISER_PARAMETERS,
    N_DENOISER_TENSORS,
)
from inversesr.priors.card import parse_card
from inversesr.priors.conversion.checkpoints import count_parameters
from inversesr.priors.networks.build import tensor_shapes


@pytest.mark.parametrize(
    ("role", "n_tensors", "n_parameters"),
    [
        ("autoencoder", N_AUTOENCODER_TENSORS, N_AUTOENCODER_PARAMETERS),
        ("denoiser", N_DENOISER_TENSORS, N_DENOISER_PARAMETERS),
    ],
)
def test_the_networks_of_the_card_have_the_size_of_the_published_weights(
    role, n_tensors, n_parameters
):
    shapes = tensor_shapes(parse_card(BRAIN_LDM).networks[role])
    assert len(shapes) == n_tensors
    assert count_parameters(shapes) == n_parameters
