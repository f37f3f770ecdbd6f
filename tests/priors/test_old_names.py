import copy
import json

import pytest

from inversesr.priors.card import parse_card, read_card
from inversesr.priors.conversion.checkpoints import import_prior
from inversesr.priors.networks.unet import ROLE, load_unet
from inversesr.priors.old_names import with_present_names
from inversesr.priors.store import SHIPPED_PRIORS


@pytest.fixture
def old_prior(tmp_path):
    """The super-resolution network of the built-in prior as earlier versions wrote it."""
    shipped, folder = SHIPPED_PRIORS / "builtin", tmp_path / "old"
    card = json.loads((shipped / "prior.json").read_text())
    part = {**card["networks"]["unet"], "network": "WarmStartNet", "file": "warmstart.safetensors"}
    entry = card["files"]["unet.safetensors"]
    card |= {"networks": {"warmstart": part}, "files": {"warmstart.safetensors": entry}}
    del card["schedule"], card["sd_over_error"]
    folder.mkdir()
    (folder / "prior.json").write_text(json.dumps(card))
    (folder / "warmstart.safetensors").symlink_to(shipped / "unet.safetensors")
    return folder


def test_an_old_prior_has_the_network_under_its_present_name(old_prior):
    card = read_card(old_prior)
    assert card.networks[ROLE].network == "SuperResolutionUNet"
    assert card.networks[ROLE].file == "warmstart.safetensors"
    assert load_unet(old_prior, "cpu") is not None


def test_an_old_prior_is_imported_from_its_own_file_name(old_prior, tmp_path):
    card = import_prior(old_prior, tmp_path / "new")
    assert list(card.networks) == [ROLE]
    assert (tmp_path / "new" / "warmstart.safetensors").is_file()


def test_present_names_are_left_as_they_are():
    data = json.loads((SHIPPED_PRIORS / "builtin" / "prior.json").read_text())
    before = copy.deepcopy(data)
    assert with_present_names(data) == before == data
    assert set(parse_card(data).networks) == set(data["networks"])


@pytest.mark.parametrize("data", [None, [], {"networks": 3}, {"networks": {"warmstart": 3}}, {}])
def test_what_is_no_card_is_left_to_its_reader(data):
    found = with_present_names(data)
    assert found == data or found == {"networks": {"unet": 3}}
