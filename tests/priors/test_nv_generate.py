import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors.card import parse_card
from inversesr.priors.conversion.checkpoints import count_parameters, import_prior
from inversesr.priors.loading import load_prior
from inversesr.priors.networks.build import tensor_shapes
from inversesr.priors.nv_generate import (
    CONTRASTS,
    N_AUTOENCODER_PARAMETERS,
    N_AUTOENCODER_TENSORS,
    N_DENOISER_PARAMETERS,
    N_DENOISER_TENSORS,
    nv_generate_card,
)
from tests.support.golden import randn, worst
from tests.support.prior_laws import check_prior
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.published import SCALE, maisi_networks, small_nv, write_nv_files

TOLERANCE = 1e-5
SHAPE, LATENT_SHAPE = (32, 32, 32), (4, 8, 8, 8)


@pytest.fixture(scope="module")
def published():
    """The networks as MONAI builds them."""
    return maisi_networks(small_nv())


@pytest.fixture(scope="module")
def imported(published, tmp_path_factory):
    """The prior that was imported from the published form of the same weights."""
    folder = tmp_path_factory.mktemp("nv")
    write_nv_files(folder / "files", *published)
    import_prior(folder / "files", folder / "prior", card=small_nv())
    return load_prior(folder / "prior", dtype=torch.float32, shape=SHAPE)


def published_loop(denoiser, noise, n_steps, base_voxels, guidance):
    """Sample as `scripts/diff_model_infer.py` does, for T1w heads of 1 mm."""
    from monai.networks.schedulers.rectified_flow import RFlowScheduler

    scheduler = RFlowScheduler(
        num_train_timesteps=1000, use_discrete_timesteps=False, use_timestep_transform=True,
        sample_method="uniform", scale=1.4, base_img_size_numel=base_voxels,
    )  # fmt: skip
    scheduler.set_timesteps(n_steps, input_img_size_numel=noise[0, 0].numel())
    following = [*scheduler.timesteps[1:], torch.tensor(0.0)]
    image = noise
    for t, after in zip(scheduler.timesteps, following, strict=True):
        both = denoiser(
            x=torch.cat([image, image]),
            timesteps=torch.stack([t, t]),
            spacing_tensor=torch.full((2, 3), 100.0),
            class_labels=torch.tensor([9, 0]),
        )
        known, unknown = both.chunk(2)
        velocity = unknown + guidance * (known - unknown)
        image, _ = scheduler.step(velocity, t, image, after)
    return image


@pytest.mark.parametrize("guidance", [1.0, 10.0])
def test_it_samples_what_the_published_loop_samples(published, imported, guidance):
    from dataclasses import replace

    guided = replace(imported, guidance=guidance)
    found = guided.sample(2, torch.Generator().manual_seed(3))
    noise = torch.randn(LATENT_SHAPE, generator=torch.Generator().manual_seed(3))[None]
    with torch.inference_mode():
        expected = published_loop(published[1], noise, 2, 512.0 / 27.0, guidance)[0]
        image = published[0].decode(expected[None] / SCALE)[0, 0]
    assert worst(found, expected) < TOLERANCE
    assert worst(imported.decode(found), image) < TOLERANCE


def test_it_encodes_as_the_published_network_does(published, imported):
    x = randn(*SHAPE).sigmoid()
    with torch.inference_mode():
        expected = SCALE * published[0].encode(x[None, None])[0][0]
    assert worst(imported.encode(x), expected) < TOLERANCE


def test_it_obeys_the_laws_of_priors(imported):
    check_prior(imported, t=400)


def test_the_velocity_is_turned_into_the_clean_latent(published, imported):
    z_t, t = randn(*LATENT_SHAPE), 400
    with torch.inference_mode():
        velocity = published[1](
            x=z_t[None], timesteps=torch.tensor([t]), spacing_tensor=torch.full((1, 3), 100.0),
            class_labels=torch.tensor([9]),
        )[0]  # fmt: skip
    assert worst(imported.denoise(z_t, t), z_t + 0.4 * velocity) < TOLERANCE


def test_the_scale_comes_from_the_checkpoint_or_the_import_stops(published, tmp_path):
    files = write_nv_files(tmp_path / "files", *published)
    assert import_prior(files, tmp_path / "prior", card=small_nv()).latent.scale == pytest.approx(
        SCALE
    )
    torch.save(published[1].state_dict(), files / "models" / "diff_unet_3d_rflow-mr-brain_v1.pt")
    with pytest.raises(InputError, match="holds no scale_factor"):
        import_prior(files, tmp_path / "other", card=small_nv())
    # what was imported can be imported again: its card has the scale
    again = import_prior(tmp_path / "prior", tmp_path / "again")
    assert again.latent.scale == pytest.approx(SCALE)


def test_contrasts_differ_by_their_class_alone():
    cards = {name: parse_card(nv_generate_card(name)) for name in CONTRASTS}
    assert {c.conditioning.class_label for c in cards.values()} == {9, 10, 11, 20}
    assert len({c.name for c in cards.values()}) == len(CONTRASTS)
    assert all(card.modality == name for name, card in cards.items())
    assert all(card.networks == cards["T1w"].networks for card in cards.values())


@pytest.mark.parametrize(
    ("role", "n_tensors", "n_parameters"),
    [
        ("autoencoder", N_AUTOENCODER_TENSORS, N_AUTOENCODER_PARAMETERS),
        ("denoiser", N_DENOISER_TENSORS, N_DENOISER_PARAMETERS),
    ],
)
def test_the_networks_of_the_card_have_the_size_of_the_published_configuration(
    role, n_tensors, n_parameters
):
    shapes = tensor_shapes(parse_card(nv_generate_card("T1w")).networks[role])
    assert len(shapes) == n_tensors
    assert count_parameters(shapes) == n_parameters
