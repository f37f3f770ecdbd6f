import pytest
import torch
from torch import nn

from inversesr.errors import InputError
from inversesr.priors.card import NetworkCard, dump_card, read_card
from inversesr.priors.loading import load_prior
from inversesr.priors.networks.build import (
    boundary_layers,
    build_network,
    check_listed,
    check_tensors,
    fast_dtype,
    has_fast_bfloat16,
    hold_in,
    load_network,
    load_part,
    tensor_shapes,
)
from inversesr.priors.networks.local_autoencoder import LocalAutoencoder
from inversesr.priors.networks.local_denoiser import LocalDenoiser
from inversesr.priors.tensors import save_tensors
from tests.priors.test_latent_diffusion import local_card
from tests.support import problems
from tests.support.laws import normal
from tests.support.problems import one_thread, random_tensors  # noqa: F401  (a fixture)

CPU = torch.device("cpu")
CARD = local_card()
NETWORKS = [
    *CARD.networks.values(),
    NetworkCard(
        "SuperResolutionUNet", {"widths": [4, 6, 8], "n_blocks": [1, 1, 1], "n_embedding": 8}, "w"
    ),
    NetworkCard("ErrorNet", {"widths": [4, 6], "n_blocks": [1, 1], "n_embedding": 8}, "e"),
]


def autoencoder(dtype=torch.float32, exact=()):
    """A local autoencoder with random weights, held in a type."""
    net = load_network(CARD.networks["autoencoder"], weights("autoencoder"), partial=False)
    return hold_in(net, dtype, [part for name, part in net.named_modules() if name in exact])


def weights(role):
    return random_tensors(CARD)[role]


@pytest.fixture
def folder(tmp_path):
    return problems.write_prior(tmp_path / "own", CARD, random_tensors(CARD))


def image(seed=0):
    return normal((1, 1, 8, 8, 8), seed, torch.float32)


# building


@pytest.mark.parametrize("card", NETWORKS, ids=lambda card: card.network)
def test_a_network_is_built_without_memory_for_inference_and_frozen(card):
    net = build_network(card)
    assert type(net).__name__ == card.network
    assert {weight.device.type for weight in net.state_dict().values()} == {"meta"}
    assert not any(weight.requires_grad for weight in net.parameters())
    assert not any(module.training for module in net.modules())


def test_the_shapes_of_tensors_are_those_of_a_network_with_memory():
    arguments = CARD.networks["denoiser"].arguments
    expected = {n: tuple(t.shape) for n, t in LocalDenoiser(**arguments).state_dict().items()}
    assert tensor_shapes(CARD.networks["denoiser"]) == expected


def test_an_unknown_network_class_is_refused():
    with pytest.raises(InputError, match="expected one of AutoencoderKL"):
        tensor_shapes(NetworkCard("Sequential", {}, "x"))
    for name in ("LocalDenoiser", "ErrorNet", "SuperResolutionUNet"):
        with pytest.raises(InputError, match=f"{name} refuses the arguments"):
            tensor_shapes(NetworkCard(name, {"colour": 1}, "x"))
    with pytest.raises(InputError, match="latent_channels is 3; expected at least 8"):
        tensor_shapes(NetworkCard("LocalAutoencoder", {"latent_channels": 3}, "x"))


# loading


def test_a_loaded_network_computes_what_its_weights_say_and_copies_none():
    tensors = weights("autoencoder")
    net = load_network(CARD.networks["autoencoder"], tensors, partial=False)
    plain = LocalAutoencoder(**CARD.networks["autoencoder"].arguments)
    plain.load_state_dict(tensors)
    x = image()
    assert torch.equal(net.encode(x)[0], plain.encode(x)[0].detach())
    for name, weight in net.state_dict().items():
        assert weight.data_ptr() == tensors[name].data_ptr()
    assert not any(weight.requires_grad for weight in net.parameters())


def test_a_part_of_a_network_computes_what_it_can():
    tensors = weights("autoencoder")
    decoder = {name: t for name, t in tensors.items() if name.startswith("decoder.")}
    card = CARD.networks["autoencoder"]
    part, whole = (load_network(card, t, partial=True) for t in (decoder, tensors))
    z = normal((1, 8, 2, 2, 2), 0, torch.float32)
    assert torch.equal(part.decode(z), whole.decode(z))
    with pytest.raises(InputError, match=r"lacks \d+ tensors, first 'encoder\.coarse"):
        load_network(card, decoder, partial=False)


SHAPES = {"a": (2,), "b": (3, 4), "c": (1,)}


@pytest.mark.parametrize("partial", [True, False])
@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({**SHAPES, "x": (1,), "d": (1,)}, "f has 2 unexpected tensors, first 'd'"),
        ({**SHAPES, "b": (4, 3)}, r"f has 'b' of shape \(4, 3\); expected \(3, 4\)"),
        ({"a": (2,), "b": (3, 4), "z": (1,)}, "f has 1 unexpected tensors, first 'z'"),
    ],
    ids=["superfluous", "misshapen", "misnamed"],
)
def test_tensors_of_another_architecture_are_refused_by_name(found, sentence, partial):
    with pytest.raises(InputError, match=sentence) as caught:
        check_tensors(SHAPES, found, "f", partial=partial)
    assert "prior.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tensors_may_be_missing_only_from_a_part():
    check_tensors(SHAPES, {"b": (3, 4)}, "f", partial=True)
    check_tensors(SHAPES, SHAPES, "f", partial=False)
    with pytest.raises(InputError, match="f lacks 2 tensors, first 'a'"):
        check_tensors(SHAPES, {"b": (3, 4)}, "f", partial=False)


def test_one_network_of_a_prior_is_loaded_by_itself(folder):
    net = load_part(folder, "autoencoder", LocalAutoencoder, CPU)
    expected = autoencoder()
    assert torch.equal(net.encode(image())[0], expected.encode(image())[0])
    assert load_part(folder, "unet", LocalAutoencoder, CPU) is None


def test_weights_kept_in_half_precision_compute_in_float32(tmp_path):
    tensors = weights("autoencoder")
    rounded = {name: t.half() for name, t in tensors.items()}
    folder = problems.write_prior(
        tmp_path / "half", CARD, {**random_tensors(CARD), "autoencoder": rounded}
    )
    net = load_part(folder, "autoencoder", LocalAutoencoder, CPU)
    for name, weight in net.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, rounded[name].float())


def test_a_network_of_another_class_is_refused(folder):
    with pytest.raises(InputError, match=r"denoiser of prior .* is LocalDenoiser; expected Local"):
        load_part(folder, "denoiser", LocalAutoencoder, CPU)


def test_a_file_without_a_hash_is_refused(folder):
    (folder / "prior.json").write_text(dump_card(CARD))
    sentence = r"lists no size and hash for autoencoder\.safetensors"
    with pytest.raises(InputError, match=sentence):
        load_prior(folder)
    with pytest.raises(InputError, match=sentence):
        load_part(folder, "autoencoder", LocalAutoencoder, CPU)


def test_only_the_files_that_are_asked_for_have_to_be_there(folder):
    card = read_card(folder)
    tensors = {name: t + 1.0 for name, t in weights("denoiser").items()}
    save_tensors(folder / "denoiser.safetensors", tensors)
    check_listed(folder, card, ["autoencoder.safetensors"])
    with pytest.raises(InputError, match=r"denoiser\.safetensors has SHA-256"):
        check_listed(folder, card, card.files)
    (folder / "denoiser.safetensors").unlink()
    with pytest.raises(InputError, match=r"denoiser\.safetensors is missing"):
        check_listed(folder, card, card.files)
    assert load_part(folder, "autoencoder", LocalAutoencoder, CPU) is not None


# the type in which they compute


def test_held_in_float32_nothing_changes_but_the_layout():
    net = autoencoder()
    plain = LocalAutoencoder(**CARD.networks["autoencoder"].arguments)
    plain.load_state_dict(weights("autoencoder"))
    for ours, theirs in zip(net.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.ndim < 5 or ours.is_contiguous(memory_format=torch.channels_last_3d)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_only_statistics_and_what_has_to_be_exact_stay_float32(dtype):
    net = autoencoder(dtype, exact=("decoder.head",))
    for name, module in net.named_modules():
        is_exact = isinstance(module, nn.LayerNorm) or name == "decoder.head"
        for weight in module.parameters(recurse=False):
            assert weight.dtype == (torch.float32 if is_exact else dtype), name


def test_what_is_held_again_stays_as_it_is():
    once = autoencoder(torch.bfloat16)
    before = [weight.clone() for weight in once.parameters()]
    again = hold_in(once, torch.bfloat16)
    assert again is once
    for weight, former in zip(again.parameters(), before, strict=True):
        assert torch.equal(weight, former)
        assert weight.dtype == former.dtype


def test_averages_of_half_precision_are_taken_in_float32():
    pool = hold_in(nn.AvgPool3d(2, stride=2), torch.float16)
    x = 100.0 + normal((1, 2, 4, 4, 6), 0, torch.float32)
    found = pool(x.half())
    assert found.dtype == torch.float16
    blocks = x.half().double().reshape(1, 2, 2, 2, 2, 2, 3, 2)
    torch.testing.assert_close(found.double(), blocks.mean((3, 5, 7)), rtol=6e-4, atol=0.0)


def test_attention_that_needs_float32_gives_way_to_the_fused_one_only_in_half_precision():
    def attention():
        module = nn.Linear(2, 2)
        module.attention_dtype, module.use_flash_attention = torch.float32, False
        return module

    held, exact = hold_in(attention(), torch.bfloat16), hold_in(attention(), torch.float32)
    assert (held.attention_dtype, held.use_flash_attention) == (None, True)
    assert (exact.attention_dtype, exact.use_flash_attention) == (torch.float32, False)


def test_with_exact_boundaries_an_image_in_bfloat16_is_no_staircase():
    net = autoencoder()
    coarse, held = autoencoder(torch.bfloat16), autoencoder()
    hold_in(held, torch.bfloat16, exact=boundary_layers(held))
    z = normal((1, 8, 4, 4, 4), 0, torch.float32)
    n_values = [len(layer_output(n, z).unique()) for n in (net, coarse, held)]
    assert n_values[1] < 0.8 * n_values[0]
    assert n_values[2] > 0.95 * n_values[0]


def layer_output(net, z):
    """What the last layer of the decoder adds to the bands of the shortcut."""
    return net.decoder(z).float()


@pytest.mark.parametrize("has_it", ["_is_avx512_bf16_supported", "_is_amx_tile_supported", None])
def test_bfloat16_is_chosen_where_the_processor_multiplies_it(monkeypatch, has_it):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name == has_it, raising=False)
    assert has_fast_bfloat16(CPU) == (has_it is not None)
    assert fast_dtype(CPU) == (torch.float32 if has_it is None else torch.bfloat16)


def test_an_unknown_device_and_an_old_torch_compute_in_float32(monkeypatch):
    assert fast_dtype(torch.device("meta")) == torch.float32
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert fast_dtype(CPU) == torch.float32
