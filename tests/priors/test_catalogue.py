import copy
import hashlib
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors import catalogue
from inversesr.priors.brain_ldm import BRAIN_LDM
from inversesr.priors.card import parse_card
from inversesr.priors.catalogue import (
    SOURCES,
    PublicPrior,
    describe_prior,
    fetch_prior,
    list_priors,
    verify_prior,
)
from inversesr.priors.conversion.checkpoints import import_prior
from inversesr.priors.networks.build import build_network
from inversesr.priors.store import PUBLIC_PRIORS


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("INVERSESR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def small_card():
    data = copy.deepcopy(BRAIN_LDM)
    data["networks"]["autoencoder"]["arguments"] |= {
        "channels": [4, 4, 4, 4],
        "num_res_blocks": 1,
        "norm_num_groups": 4,
    }
    data["networks"]["denoiser"]["arguments"] |= {
        "channels": [4, 4, 4],
        "num_res_blocks": 1,
        "num_head_channels": [0, 4, 4],
        "norm_num_groups": 4,
    }
    return data


def write_bundle(folder):
    names = {"autoencoder": "models/autoencoder.pt", "denoiser": "models/model.pt"}
    (folder / "models").mkdir(parents=True)
    for role, network in parse_card(small_card()).networks.items():
        state = build_network(network).state_dict()
        torch.save({n: torch.full(t.shape, 0.1) for n, t in state.items()}, folder / names[role])
    return folder


def installed(home, tmp_path):
    source = write_bundle(tmp_path / "bundle")
    import_prior(source, home / "priors" / "brain-ldm", card=small_card())
    return home / "priors" / "brain-ldm"


def summary(name):
    return next(p for p in list_priors() if p.name == name)


def test_a_prior_that_is_not_installed_is_listed_with_what_to_do():
    found = summary("brain-ldm")
    assert not found.usable
    assert "inversesr prior fetch brain-ldm" in found.note
    assert "hf download MONAI/brain_image_synthesis_latent_diffusion_model" in found.note


def test_published_models_that_cannot_be_fetched_are_listed_with_what_to_do():
    note = summary("nv-generate-mr-brain").note
    assert note.startswith("not installed: ")
    assert "`hf download nvidia/NV-Generate-MR-Brain " in note
    assert "`inversesr prior import DIR --as brlp`" in summary("brlp").note
    # the same weights for other contrasts would only fill the list
    assert not [p for p in list_priors() if p.name == "nv-generate-mr-brain-flair"]
    with pytest.raises(InputError, match=r"cannot be fetched: .*import DIR --as brlp"):
        fetch_prior("brlp")


def test_an_installed_prior_is_listed_described_and_verified(own_home, tmp_path):
    folder = installed(own_home, tmp_path)
    found = summary("brain-ldm")
    assert found.usable
    assert found.folder == folder
    assert describe_prior("brain-ldm")["latent"]["channels"] == 3
    sentences = verify_prior("brain-ldm")
    assert len(sentences) == 4
    assert any("tensors of DiffusionModelUNet as expected" in s for s in sentences)


def test_an_incomplete_file_is_seen_in_the_list_and_refused_by_verify(own_home, tmp_path):
    path = installed(own_home, tmp_path) / "denoiser.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    assert not summary("brain-ldm").usable
    with pytest.raises(InputError, match="`inversesr prior fetch brain-ldm`"):
        verify_prior("brain-ldm")


def test_a_broken_card_does_not_hide_the_other_priors(own_home, tmp_path):
    installed(own_home, tmp_path)
    broken = own_home / "priors" / "broken"
    broken.mkdir()
    (broken / "prior.json").write_text("{")
    assert summary("brain-ldm").usable
    assert "is not JSON" in summary("broken").note


class Hub(BaseHTTPRequestHandler):
    """Serves a folder as the Hub serves files of a repository."""

    root = None
    repository = ""

    def do_HEAD(self):
        self.answer(send_body=False)

    def do_GET(self):
        self.answer(send_body=True)

    def answer(self, *, send_body):
        prefix = f"/{self.repository}/resolve/main/"
        path = self.root / self.path.removeprefix(prefix)
        if not self.path.startswith(prefix) or not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if send_body:
            self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub", reason="needs huggingface-hub, the extra [fetch]")
    root = write_bundle(tmp_path / "served")
    files = {
        name: hashlib.md5((root / name).read_bytes(), usedforsecurity=False).hexdigest()
        for name in ("models/autoencoder.pt", "models/model.pt")
    }
    source = PublicPrior("somebody/something", files, small_card())
    monkeypatch.setitem(SOURCES, "brain-ldm", source)
    monkeypatch.setattr(Hub, "root", root)
    monkeypatch.setattr(Hub, "repository", source.repository)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_fetching_downloads_checks_and_converts(own_home, hub):
    card = fetch_prior("brain-ldm", endpoint=hub)
    assert summary("brain-ldm").usable
    assert verify_prior("brain-ldm")
    assert card.networks["denoiser"].file in card.files
    assert not (own_home / "downloads" / "brain-ldm").exists()


def test_a_download_that_is_not_the_published_file_is_refused(own_home, hub, monkeypatch):
    source = SOURCES["brain-ldm"]
    wrong = replace(source, files={**source.files, "models/model.pt": "0" * 32})
    monkeypatch.setitem(SOURCES, "brain-ldm", wrong)
    with pytest.raises(InputError, match=r"models/model\.pt .* MD5 .* expected 0000"):
        fetch_prior("brain-ldm", endpoint=hub)
    assert not (own_home / "priors" / "brain-ldm" / "prior.json").exists()


def test_without_network_the_way_by_hand_is_told(hub, monkeypatch):
    source = SOURCES["brain-ldm"]
    monkeypatch.setitem(SOURCES, "brain-ldm", replace(source, files={"models/gone.pt": "0" * 32}))
    with pytest.raises(InputError, match=r"hf download .* models/gone\.pt --local-dir DIR"):
        fetch_prior("brain-ldm", endpoint=hub)


def test_without_the_hub_library_both_ways_are_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"inversesr\[fetch\].*inversesr prior import DIR"):
        fetch_prior("brain-ldm")


def test_an_unknown_name_cannot_be_fetched():
    with pytest.raises(InputError, match="cannot be fetched; expected one of brain-ldm"):
        fetch_prior("unicorn")
    assert catalogue.SOURCES["brain-ldm"].files


def test_what_is_said_to_be_public_can_be_fetched():
    assert set(PUBLIC_PRIORS) == set(catalogue.SOURCES)
