import pytest

from inversesr.errors import InputError
from inversesr.priors.card import parse_card
from inversesr.priors.published import PUBLISHED, published_prior, recognised


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_card_is_sound_and_names_the_files_of_its_networks(name):
    prior = published_prior(name)
    card = parse_card(prior.card)
    assert card.name == name
    assert set(prior.files) == set(card.networks)
    assert all(text for text in (card.licence, card.citation, card.intended_use, card.limits))


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "brain-ldm"])
def test_what_was_not_compared_with_the_weights_says_so(name):
    assert "ot verified with the published weights" in published_prior(name).card["limits"]


def test_how_to_install_names_every_download_and_the_import():
    text = published_prior("nv-generate-mr-brain-flair").how_to_install()
    assert "`hf download nvidia/NV-Generate-CT models/autoencoder_v1.pt --local-dir DIR`" in text
    assert "`inversesr prior import DIR --as nv-generate-mr-brain-flair`" in text
    assert "https://github.com/LemuelPuglisi/BrLP" in published_prior("brlp").how_to_install()


def test_a_folder_is_recognised_by_a_file_that_only_one_model_has(tmp_path):
    assert recognised(tmp_path).card["name"] == "brain-ldm"
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "diff_unet_3d_rflow-mr-brain_v1.pt").touch()
    assert recognised(tmp_path).card["name"] == "nv-generate-mr-brain"


def test_an_unknown_name_is_refused_with_those_that_are_known():
    with pytest.raises(InputError, match="expected one of brain-ldm, brlp, nv-generate-mr-brain"):
        published_prior("brain")
