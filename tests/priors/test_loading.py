from dataclasses import replace

import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors.card import FileCard, dump_card
from inversesr.priors.loading import assemble_prior, load_prior
from inversesr.priors.store import digest
from inversesr.priors.tensors import save_tensors
from tests.support.small_brain_ldm import card_of, random_tensors


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small networks on busy cores: threads that wait for one another cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def latent(prior, seed=0):
    return torch.randn(prior.latent_shape, generator=generator(seed))


def write_prior(folder, card, tensors):
    folder.mkdir(parents=True)
    files = {}
    for role, network in card.networks.items():
        path = folder / network.file
        save_tensors(path, tensors[role])
        files[network.file] = FileCard(path.stat().st_size, digest(path))
    (folder / "prior.json").write_text(dump_card(replace(card, files=files)))


def test_a_prior_on_disk_is_loaded_as_it_was_written(tmp_path):
    card = card_of()
    tensors = random_tensors(card)
    write_prior(tmp_path / "p", card, tensors)
    loaded = load_prior(tmp_path / "p", dtype=torch.float32)
    z = latent(loaded)
    assert torch.equal(loaded.decode(z), assemble_prior(card, tensors).decode(z))
    automatic = load_prior(tmp_path / "p")
    assert automatic.dtype in {torch.float32, torch.bfloat16}


def test_a_changed_file_is_refused(tmp_path):
    card = card_of()
    write_prior(tmp_path / "p", card, random_tensors(card))
    path = tmp_path / "p" / "denoiser.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"SHA-256.*`inversesr prior import DIR --force`"):
        load_prior(tmp_path / "p")
