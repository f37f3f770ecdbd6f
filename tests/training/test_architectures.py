import pytest

from inversesr.errors import InputError
from inversesr.priors.networks.local_autoencoder import LocalAutoencoder
from inversesr.priors.networks.local_denoiser import LocalDenoiser
from inversesr.priors.networks.unet import SuperResolutionShape, SuperResolutionUNet
from inversesr.training.architectures import arguments_of, averaged_weights

UNET = {"widths": [3, 4, 5], "n_blocks": [1, 3, 2], "n_embedding": 6}
AUTOENCODER = {
    "latent_channels": 11,
    "widths": [3, 4],
    "encoder_blocks": [1, 2],
    "decoder_blocks": [3, 1],
}


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (SuperResolutionUNet(SuperResolutionShape(**UNET)), UNET),
        (LocalDenoiser(9, **UNET), {"channels": 9, **UNET}),
        (LocalAutoencoder(**AUTOENCODER), AUTOENCODER),
    ],
    ids=lambda value: type(value).__name__,
)
def test_tensors_tell_the_arguments_of_their_network(net, expected):
    assert arguments_of(type(net).__name__, net.state_dict()) == expected


def test_a_stage_that_was_not_trained_is_named_with_the_command_that_does(tmp_path):
    with pytest.raises(InputError, match="inversesr prior train autoencoder -o"):
        averaged_weights(tmp_path / "autoencoder")
