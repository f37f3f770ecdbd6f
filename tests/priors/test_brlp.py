import math

import pytest
import torch

from inversesr.priors.brlp import BRLP, N_DENOISER_PARAMETERS, N_DENOISER_TENSORS
from inversesr.priors.card import grid_of, parse_card
from inversesr.priors.conversion.checkpoints import count_parameters, import_prior
from inversesr.priors.loading import load_prior
from inversesr.priors.networks.build import tensor_shapes
from tests.support.golden import generative_network, randn, worst
from tests.support.prior_laws import check_prior
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.published import small_brlp

TOLERANCE = 1e-5
SHAPE, INNER, PADDED = (24, 48, 24), (3, 3, 6, 3), (3, 4, 8, 4)


@pytest.fixture(scope="module")
def published():
    """The networks as the published code builds them."""
    card = parse_card(small_brlp())
    return {role: generative_network(network) for role, network in card.networks.items()}


@pytest.fixture(scope="module")
def imported(published, tmp_path_factory):
    """The prior that was imported from the same weights."""
    folder = tmp_path_factory.mktemp("brlp")
    torch.save(published["autoencoder"].state_dict(), folder / "autoencoder.pth")
    torch.save(published["denoiser"].state_dict(), folder / "unet.pth")
    import_prior(folder, folder / "prior", card=small_brlp())
    return load_prior(folder / "prior", dtype=torch.float32)


def test_latents_are_padded_as_the_published_code_pads_them(published, imported):
    from monai.transforms import DivisiblePad

    x = randn(*SHAPE).sigmoid()
    with torch.inference_mode():
        inner = published["autoencoder"].encode(x[None, None])[0][0]
    assert inner.shape == INNER
    found = imported.encode(x)
    assert found.shape == PADDED == imported.latent_shape
    assert worst(found, DivisiblePad(k=4)(inner).as_tensor()) < TOLERANCE


def test_padding_is_cut_off_before_decoding_as_the_published_code_does(published, imported):
    from monai.data import MetaTensor
    from monai.transforms import DivisiblePad

    z = randn(*PADDED)
    padder = DivisiblePad(k=4)
    inner = padder.inverse(padder(MetaTensor(torch.zeros(INNER))) + z).as_tensor()
    with torch.inference_mode():
        expected = published["autoencoder"].decode(inner[None])[0, 0]
    assert worst(imported.decode(z), expected) < TOLERANCE


def test_it_samples_what_the_published_sampler_samples(published, imported):
    # DDIM of `generative`: timesteps 500 and 0 of 1000, the last step to signal 1
    betas = torch.linspace(0.0015**0.5, 0.0205**0.5, 1000, dtype=torch.float64) ** 2
    squares = torch.cumprod(1.0 - betas, 0).tolist()
    context = [0.75, 0.5, 0.0, 0.567, 0.539, 0.578, 0.558, 0.3]
    z = torch.randn(PADDED, generator=torch.Generator().manual_seed(3))[None]
    for t, after in ((500, squares[0]), (0, 1.0)):
        with torch.inference_mode():
            eps = published["denoiser"](
                x=z, timesteps=torch.tensor([t]), context=torch.tensor([[context]])
            )
        clean = (z - math.sqrt(1.0 - squares[t]) * eps) / math.sqrt(squares[t])
        z = math.sqrt(after) * clean + math.sqrt(1.0 - after) * eps
    found = imported.sample(2, torch.Generator().manual_seed(3))
    assert worst(found, z[0]) < 1e-4


@pytest.mark.slow
def test_it_obeys_the_laws_of_priors(imported):
    check_prior(imported, t=400)


def test_the_grid_is_what_the_published_preprocessing_makes_of_the_template():
    from monai.data import MetaTensor
    from monai.transforms import ResizeWithPadOrCrop, Spacing

    template = torch.tensor(
        [[-1.0, 0, 0, 90], [0, 1, 0, -126], [0, 0, 1, -72], [0, 0, 0, 1]], dtype=torch.float64
    )
    head = MetaTensor(torch.zeros(1, 182, 218, 182), affine=template)
    seen = ResizeWithPadOrCrop((120, 144, 120))(Spacing(pixdim=1.5, mode="nearest")(head))
    grid = grid_of(parse_card(BRLP))
    assert tuple(seen.shape[1:]) == grid.shape
    assert torch.allclose(seen.affine, torch.from_numpy(grid.affine))


def test_the_denoiser_of_the_card_has_the_size_of_the_published_constructor():
    card = parse_card(BRLP)
    shapes = tensor_shapes(card.networks["denoiser"])
    assert len(shapes) == N_DENOISER_TENSORS
    assert count_parameters(shapes) == N_DENOISER_PARAMETERS
