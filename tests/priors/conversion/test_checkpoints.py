import copy
import json
import sys
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from inversesr.errors import InputError
from inversesr.priors import brain_ldm
from inversesr.priors.card import parse_card
from inversesr.priors.conversion.checkpoints import (
    _find_weights,
    convert_tensors,
    count_parameters,
    import_prior,
)
from inversesr.priors.conversion.unpickling import read_checkpoint
from inversesr.priors.networks.build import load_network, tensor_shapes
from inversesr.priors.schedule import make_schedule
from inversesr.priors.store import check_file, find_prior, read_json
from inversesr.priors.tensors import load_tensors
from tests.support import problems
from tests.support.golden import generative_network, randn, randomise, worst
from tests.support.problems import free_card, random_tensors

EXACT = parse_card(brain_ldm.BRAIN_LDM)
TOLERANCE = 1e-5


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small networks on busy cores: threads that wait for one another cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small_card():
    """The brain LDM's architecture in every respect but its widths."""
    data = copy.deepcopy(brain_ldm.BRAIN_LDM)
    data["networks"]["autoencoder"]["arguments"] |= {
        "channels": [4, 8, 8, 8],
        "norm_num_groups": 4,
    }
    data["networks"]["denoiser"]["arguments"] |= {
        "channels": [8, 16, 24],
        "num_head_channels": [0, 16, 24],
        "norm_num_groups": 4,
    }
    data["grid"] |= {"shape": [16, 24, 16]}
    return data


# Written out by hand from the original code's constructor, for 3 levels of 2 residual blocks
# with attention in the last two.
ORIGINAL_BLOCKS = {
    "conv_in": "input_blocks.0.0",
    "down_blocks.0.resnets.0": "input_blocks.1.0",
    "down_blocks.0.resnets.1": "input_blocks.2.0",
    "down_blocks.0.downsampler": "input_blocks.3.0",
    "down_blocks.1.resnets.0": "input_blocks.4.0",
    "down_blocks.1.attentions.0": "input_blocks.4.1",
    "down_blocks.1.resnets.1": "input_blocks.5.0",
    "down_blocks.1.attentions.1": "input_blocks.5.1",
    "down_blocks.1.downsampler": "input_blocks.6.0",
    "down_blocks.2.resnets.0": "input_blocks.7.0",
    "down_blocks.2.attentions.0": "input_blocks.7.1",
    "down_blocks.2.resnets.1": "input_blocks.8.0",
    "down_blocks.2.attentions.1": "input_blocks.8.1",
    "middle_block.resnet_1": "middle_block.0",
    "middle_block.attention": "middle_block.1",
    "middle_block.resnet_2": "middle_block.2",
    "up_blocks.0.resnets.0": "output_blocks.0.0",
    "up_blocks.0.attentions.0": "output_blocks.0.1",
    "up_blocks.0.resnets.1": "output_blocks.1.0",
    "up_blocks.0.attentions.1": "output_blocks.1.1",
    "up_blocks.0.resnets.2": "output_blocks.2.0",
    "up_blocks.0.attentions.2": "output_blocks.2.1",
    "up_blocks.0.upsampler": "output_blocks.2.2",
    "up_blocks.1.resnets.0": "output_blocks.3.0",
    "up_blocks.1.attentions.0": "output_blocks.3.1",
    "up_blocks.1.resnets.1": "output_blocks.4.0",
    "up_blocks.1.attentions.1": "output_blocks.4.1",
    "up_blocks.1.resnets.2": "output_blocks.5.0",
    "up_blocks.1.attentions.2": "output_blocks.5.1",
    "up_blocks.1.upsampler": "output_blocks.5.2",
    "up_blocks.2.resnets.0": "output_blocks.6.0",
    "up_blocks.2.resnets.1": "output_blocks.7.0",
    "up_blocks.2.resnets.2": "output_blocks.8.0",
}
ORIGINAL_PARTS = {
    ".norm1.": ".in_layers.0.",
    ".conv1.": ".in_layers.2.",
    ".time_emb_proj.": ".emb_layers.1.",
    ".norm2.": ".out_layers.0.",
    ".conv2.": ".out_layers.3.",
    ".ff.linear1.": ".ff.net.0.proj.",
    ".ff.linear2.": ".ff.net.2.",
}


def original_denoiser_state(state):
    """Give a `generative` U-Net the names of the original code, its prefix and its buffers."""
    renamed = {}
    for name, tensor in state.items():
        for new, old in ORIGINAL_BLOCKS.items():
            if name.startswith(new + "."):
                rest = name[len(new) :]
                if ".transformer_blocks." not in rest and "attention" not in new:
                    for part, original in ORIGINAL_PARTS.items():
                        rest = rest.replace(part, original)
                rest = rest.replace(".ff.linear1.", ".ff.net.0.proj.")
                rest = rest.replace(".ff.linear2.", ".ff.net.2.")
                name = old + rest
                break
        # the original has bare convolutions where `generative` wraps each in a module
        leaf = name.rsplit(".", 1)[1]
        renamed[f"model.diffusion_model.{name.replace('.conv.' + leaf, '.' + leaf)}"] = tensor
    betas = torch.linspace(0.0015**0.5, 0.0205**0.5, 1000, dtype=torch.float64) ** 2
    renamed["betas"] = betas.float()
    renamed["alphas_cumprod"] = torch.cumprod(1 - betas, 0).float()
    renamed["posterior_mean_coef1"] = torch.ones(1000)
    renamed["lvlb_weights"] = torch.ones(1000)
    return renamed


def original_autoencoder_state(state):
    renamed = {}
    for name, tensor in state.items():
        leaf = name.rsplit(".", 1)[1]
        renamed[name.replace(f".conv.{leaf}", f".{leaf}")] = tensor
    return renamed


def autoencoder_differences(theirs, ours, image, latent):
    """Return the largest relative differences of encode and decode."""
    with torch.inference_mode():
        pairs = list(zip(ours.encode(image), theirs.encode(image), strict=True))
        pairs.append((ours.decode(latent), theirs.decode(latent)))
    return [worst(a, b) for a, b in pairs]


def denoiser_difference(theirs, ours, z, context):
    t = torch.tensor([321])
    with torch.inference_mode():
        return worst(
            ours(z, timesteps=t, context=context), theirs(z, timesteps=t, context=context)
        )


@pytest.mark.parametrize(
    ("card", "n_tensors", "n_parameters"),
    [
        (EXACT.networks["denoiser"], 528, 553_168_899),
        (EXACT.networks["autoencoder"], 162, 13_766_248),
    ],
    ids=["denoiser", "autoencoder"],
)
def test_the_exact_architecture_has_the_published_size(card, n_tensors, n_parameters):
    shapes = tensor_shapes(card)
    assert len(shapes) == n_tensors
    assert count_parameters(shapes) == n_parameters


@pytest.mark.parametrize("form", ["generative", "original"])
def test_a_small_brain_ldm_denoiser_gives_the_output_of_generative(form):
    card = parse_card(small_card()).networks["denoiser"]
    theirs = generative_network(card)
    state = theirs.state_dict()
    if form == "original":
        state = original_denoiser_state(state)
    tensors, card = convert_tensors(state, card)
    ours = load_network(card, tensors, partial=False)
    assert denoiser_difference(theirs, ours, randn(1, 7, 8, 12, 8), randn(1, 1, 4)) < TOLERANCE


@pytest.mark.parametrize("form", ["generative", "original"])
def test_a_small_brain_ldm_autoencoder_gives_the_output_of_generative(form):
    card = parse_card(small_card()).networks["autoencoder"]
    theirs = generative_network(card)
    state = theirs.state_dict()
    if form == "original":
        state = original_autoencoder_state(state)
    tensors, card = convert_tensors(state, card)
    ours = load_network(card, tensors, partial=False)
    found = autoencoder_differences(theirs, ours, randn(1, 1, 16, 24, 16), randn(1, 3, 2, 3, 2))
    assert max(found) < TOLERANCE


def with_arguments(role, **changes):
    card = parse_card(small_card()).networks[role]
    arguments = {k: v for k, v in {**card.arguments, **changes}.items() if v is not None}
    return replace(card, arguments=arguments)


def test_an_autoencoder_with_attention_gives_the_output_of_generative():
    card = with_arguments(
        "autoencoder",
        attention_levels=[False, False, True, True],
        with_encoder_nonlocal_attn=True,
        with_decoder_nonlocal_attn=True,
    )
    theirs = generative_network(card)
    tensors, card = convert_tensors(theirs.state_dict(), card)
    assert card.arguments["include_fc"] is False
    ours = load_network(card, tensors, partial=False)
    found = autoencoder_differences(theirs, ours, randn(1, 1, 16, 24, 16), randn(1, 3, 2, 3, 2))
    assert max(found) < TOLERANCE


@pytest.mark.parametrize("resblock_updown", [True, False])
def test_an_unconditioned_denoiser_gives_the_output_of_generative(resblock_updown):
    card = with_arguments(
        "denoiser",
        with_conditioning=False,
        cross_attention_dim=None,
        upcast_attention=None,
        transformer_num_layers=None,
        resblock_updown=resblock_updown,
    )
    theirs = generative_network(card)
    tensors, card = convert_tensors(theirs.state_dict(), card)
    ours = load_network(card, tensors, partial=False)
    assert denoiser_difference(theirs, ours, randn(1, 7, 8, 12, 8), None) < TOLERANCE


def monai_network(card, seed=0):
    from monai.networks import nets

    return randomise(getattr(nets, card.network)(**card.arguments), seed)


@pytest.mark.parametrize("role", ["autoencoder", "denoiser"])
def test_monai_core_names_are_kept_as_they_are(role):
    card = parse_card(small_card()).networks[role]
    state = monai_network(card).state_dict()
    tensors, converted = convert_tensors(state, card)
    assert converted == card
    assert set(tensors) == set(state)
    assert all(tensors[name] is tensor for name, tensor in state.items())


def test_converting_does_not_empty_the_callers_dictionary():
    card = parse_card(small_card()).networks["denoiser"]
    state = monai_network(card).state_dict()
    before = list(state)
    convert_tensors(state, card)
    assert list(state) == before


@pytest.mark.parametrize("prefix", ["module.", "state_dict.", "state_dict.module.", "ema.model."])
def test_prefixes_of_training_code_are_removed(prefix):
    card = parse_card(small_card()).networks["denoiser"]
    state = monai_network(card).state_dict()
    wrapped = {prefix + name: tensor for name, tensor in state.items()}
    wrapped["optimizer.state.0.exp_avg"] = torch.ones(2)
    assert set(convert_tensors(wrapped, card)[0]) == set(state)


def test_missing_superfluous_and_misshapen_tensors_are_named():
    card = parse_card(small_card()).networks["denoiser"]
    state = dict(monai_network(card).state_dict())
    with pytest.raises(InputError, match=r"lacks 1 tensors, first 'conv_in\.conv\.bias'"):
        convert_tensors({n: t for n, t in state.items() if n != "conv_in.conv.bias"}, card)
    with pytest.raises(InputError, match=r"unexpected tensors, first 'conv_in\.extra'"):
        convert_tensors({**state, "conv_in.extra": torch.ones(1)}, card)
    with pytest.raises(InputError, match=r"of shape \(3,\); expected \(8,\)"):
        convert_tensors({**state, "conv_in.conv.bias": torch.ones(3)}, card)
    with pytest.raises(InputError, match="expected weights of AutoencoderKL"):
        convert_tensors(state, with_arguments("autoencoder"))


def states(form):
    """Random weights of the small brain LDM under the names of one form."""
    card = parse_card(small_card())
    made = {role: monai_network(card.networks[role]).state_dict() for role in card.networks}
    if form == "core":
        return made, made
    back = {
        role: {
            n.replace(".postconv.", ".conv.").replace(".out_proj.", ".to_out.0."): t
            for n, t in state.items()
        }
        for role, state in made.items()
    }
    if form == "original":
        back["denoiser"] = original_denoiser_state(back["denoiser"])
        back["autoencoder"] = original_autoencoder_state(back["autoencoder"])
    return made, back


def write_bundle(folder, state, names=("models/autoencoder.pt", "models/model.pt")):
    for role, name in zip(("autoencoder", "denoiser"), names, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        torch.save(dict(state[role]), folder / name)
    return folder


@pytest.mark.parametrize("form", ["core", "generative", "original"])
def test_importing_a_folder_writes_the_same_weights_whatever_their_names(tmp_path, form):
    made, state = states(form)
    source = write_bundle(tmp_path / "bundle", state)
    card = import_prior(source, tmp_path / "prior", card=small_card())
    assert find_prior(tmp_path / "prior") == tmp_path / "prior"
    assert parse_card(read_json(tmp_path / "prior" / "prior.json")) == card
    for role, network in card.networks.items():
        path = tmp_path / "prior" / network.file
        check_file(path, card.files[network.file].size, card.files[network.file].sha256, "")
        found = load_tensors(path)
        assert set(found) == set(made[role])
        assert all(torch.equal(found[n], t) for n, t in made[role].items())


def test_importing_a_zip_file_and_a_card_beside_the_weights(tmp_path):
    made, state = states("generative")
    folder = write_bundle(
        tmp_path / "z" / "bundle", state, ("autoencoder.pth", "diffusion_model.pth")
    )
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        for path in folder.rglob("*.pth"):
            archive.write(path, f"bundle/{path.relative_to(folder)}")
    card = import_prior(tmp_path / "bundle.zip", tmp_path / "prior", card=small_card())
    # a folder that has a card needs none to be given
    again = import_prior(tmp_path / "prior", tmp_path / "again")
    assert again == card
    assert len(made["denoiser"]) == 528


def test_a_card_is_found_wherever_the_weights_are(tmp_path):
    _, state = states("core")
    write_bundle(tmp_path / "top" / "bundle", state)
    card = {**small_card(), "name": "own"}
    (tmp_path / "top" / "bundle" / "prior.json").write_text(json.dumps(card))
    assert import_prior(tmp_path / "top", tmp_path / "prior").name == "own"


def test_an_installed_prior_is_replaced_only_on_request_and_only_as_a_whole(tmp_path):
    _, state = states("core")
    source, destination = write_bundle(tmp_path / "bundle", state), tmp_path / "prior"
    import_prior(source, destination, card=small_card())
    before = {file.name: file.read_bytes() for file in destination.iterdir()}
    with pytest.raises(InputError, match="installed already: give --force"):
        import_prior(source, destination, card=small_card())
    (source / "models" / "model.pt").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"model\.pt"):
        import_prior(source, destination, card=small_card(), force=True)
    assert {file.name: file.read_bytes() for file in destination.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_networks_of_this_package_are_imported_as_they_are(tmp_path):
    card = free_card()
    source = Path(problems.write_prior(tmp_path / "own", card, random_tensors(card)))
    found = import_prior(source, tmp_path / "again")
    for network in found.networks.values():
        ours = load_tensors(source / network.file)
        theirs = load_tensors(tmp_path / "again" / network.file)
        assert {n: tuple(t.shape) for n, t in ours.items()} == {
            n: tuple(t.shape) for n, t in theirs.items()
        }
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_denoiser_of_mlflow_folders_is_not_taken_from_that_of_the_decoder(tmp_path):
    for name in ("decoder", "ddpm"):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "data" / "model.pth").write_bytes(b"")
    found = _find_weights(tmp_path, EXACT, "denoiser", tmp_path)
    assert found == tmp_path / "ddpm" / "data" / "model.pth"
    assert _find_weights(tmp_path, EXACT, "autoencoder", tmp_path).parts[-3] == "decoder"


def test_without_a_destination_the_prior_is_installed_under_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("INVERSESR_HOME", str(tmp_path / "home"))
    _, state = states("core")
    import_prior(write_bundle(tmp_path / "bundle", state), card=small_card())
    assert find_prior("brain-ldm") == tmp_path / "home" / "priors" / "brain-ldm"


class Vanished(torch.nn.Module):
    """A module tree with the tensors of a state dict."""

    def __init__(self, state):
        super().__init__()
        for name, tensor in state.items():
            head, _, rest = name.partition(".")
            if not rest:
                self.register_buffer(head, tensor)
        heads = {n.partition(".")[0] for n in state if "." in n}
        for head in sorted(heads):
            inner = {n[len(head) + 1 :]: t for n, t in state.items() if n.startswith(head + ".")}
            self.add_module(head, type(self)(inner))


def test_importing_mlflow_folders_of_pickled_modules_needs_trust(tmp_path, monkeypatch):
    made, state = states("original")
    kept = ("decoder.", "post_quant_conv.")
    state["autoencoder"] = {n: t for n, t in state["autoencoder"].items() if n.startswith(kept)}
    package = types.ModuleType("models")
    package.Vanished = Vanished
    monkeypatch.setattr(Vanished, "__module__", "models")
    monkeypatch.setitem(sys.modules, "models", package)
    for role, name in (("denoiser", "ddpm"), ("autoencoder", "decoder")):
        path = tmp_path / "trained" / name / "data" / "model.pth"
        path.parent.mkdir(parents=True)
        torch.save(Vanished(state[role]), path)
    monkeypatch.delitem(sys.modules, "models")
    with pytest.raises(InputError, match="--trust-pickle"):
        import_prior(tmp_path / "trained", tmp_path / "prior", card=small_card())
    card = import_prior(
        tmp_path / "trained", tmp_path / "prior", card=small_card(), trust_pickle=True
    )
    assert card.latent.has_encoder is False
    found = load_tensors(tmp_path / "prior" / "autoencoder.safetensors")
    expected = {n for n in made["autoencoder"] if n.startswith(("decoder.", "post_quant"))}
    assert set(found) == expected
    assert all(torch.equal(t, made["autoencoder"][n]) for n, t in found.items())


def test_a_missing_file_is_named_with_the_command_that_fetches_it(tmp_path):
    made, _ = states("core")
    torch.save(dict(made["autoencoder"]), tmp_path / "autoencoder.pt")
    with pytest.raises(InputError, match=r"models/model\.pt: download it by `hf download MONAI/"):
        import_prior(tmp_path, tmp_path / "prior", card=small_card())


def test_other_noise_levels_than_those_of_the_card_are_refused(tmp_path):
    _, state = states("original")
    data = small_card()
    data["schedule"]["arguments"] = {"beta_start": 0.0001, "beta_end": 0.02}
    source = write_bundle(tmp_path / "bundle", state)
    with pytest.raises(InputError, match="other noise levels"):
        import_prior(source, tmp_path / "prior", card=data)
    levels = make_schedule(EXACT.schedule).signal ** 2
    assert (state["denoiser"]["alphas_cumprod"] - levels).abs().max() < 1e-6


def test_a_source_that_is_neither_folder_nor_zip_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"a": torch.ones(1)}, path)
    with pytest.raises(InputError, match="no folder and no zip file"):
        import_prior(path, tmp_path / "prior")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["generative", "original"])
def test_the_exact_denoiser_saved_by_generative_gives_its_output(form, tmp_path):
    card = EXACT.networks["denoiser"]
    theirs = generative_network(card)
    state = theirs.state_dict()
    assert len(state) == 528
    assert count_parameters(state) == 553_168_899
    z, context = randn(1, 7, 20, 28, 20), randn(1, 1, 4)
    t = torch.tensor([321])
    with torch.inference_mode():
        expected = theirs(z, timesteps=t, context=context)
    torch.save(
        state if form == "generative" else original_denoiser_state(state), tmp_path / "m.pt"
    )
    del theirs, state
    tensors, card = convert_tensors(read_checkpoint(tmp_path / "m.pt"), card)
    ours = load_network(card, tensors, partial=False)
    with torch.inference_mode():
        assert worst(ours(z, timesteps=t, context=context), expected) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("form", ["generative", "original"])
def test_the_exact_autoencoder_saved_by_generative_gives_its_output(form, tmp_path):
    card = EXACT.networks["autoencoder"]
    theirs = generative_network(card)
    state = theirs.state_dict()
    # `generative` and the original have as many tensors as MONAI core
    assert len(state) == 162
    assert count_parameters(state) == 13_766_248
    named = state if form == "generative" else original_autoencoder_state(state)
    torch.save(named, tmp_path / "m.pt")
    tensors, card = convert_tensors(read_checkpoint(tmp_path / "m.pt"), card)
    ours = load_network(card, tensors, partial=False)
    found = autoencoder_differences(theirs, ours, randn(1, 1, 48, 64, 40), randn(1, 3, 6, 8, 5))
    assert max(found) < TOLERANCE
