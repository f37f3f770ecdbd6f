import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors import installed as module
from inversesr.priors.installed import open_prior
from inversesr.priors.loading import load_prior
from tests.support import problems
from tests.support.problems import free_card, random_tensors, tiny_card

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    card = free_card()
    return problems.write_prior(tmp_path / "tiny", card, random_tensors(card))


def test_a_network_is_read_once(folder, monkeypatch):
    calls = []
    monkeypatch.setattr(module, "load_prior", lambda *a: calls.append(a) or load_prior(*a))
    prior = open_prior(folder)
    assert prior.diffusion(CPU) is prior.diffusion(CPU)
    assert len(calls) == 1


def test_an_open_prior_stays_itself(folder):
    prior = open_prior(folder)
    assert open_prior(prior) is prior
    assert prior.name == str(folder)
    assert len(prior.sha256) == 64


def test_a_prior_in_memory_needs_no_files(folder):
    model = load_prior(folder)
    prior = open_prior(model)
    assert prior.diffusion(CPU) is model
    assert (prior.folder, prior.sha256, prior.error_net(CPU)) == (None, None, None)
    assert prior.card is model.card


def test_a_prior_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError):
        open_prior(tmp_path / "nothing")


def test_a_prior_without_a_unet_says_so(folder):
    with pytest.raises(InputError, match="no super-resolution network"):
        open_prior(folder).unet(CPU)


def test_what_is_known_of_a_subject_takes_the_place_of_the_defaults(tmp_path):
    card = tiny_card()
    folder = problems.write_prior(tmp_path / "told", card, random_tensors(card))
    prior = open_prior(folder)
    name = card.conditioning.variables[0].name
    low, high = card.conditioning.variables[0].low, card.conditioning.variables[0].high
    told = prior.told({name: high})
    assert told.diffusion(CPU).context()[0] == 1.0
    assert told.diffusion(CPU).context({name: low})[0] == 0.0
    assert prior.diffusion(CPU).context()[0] != 1.0
    # its networks are read once, for all subjects
    assert told.diffusion(CPU).denoiser is prior.diffusion(CPU).denoiser
    with pytest.raises(InputError, match="has no variable 'height'"):
        prior.told({"height": 180.0})
    with pytest.raises(InputError, match="expected"):
        prior.told({name: high + 1.0})
