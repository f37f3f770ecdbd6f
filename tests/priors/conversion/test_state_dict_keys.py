import re

import pytest
import torch

from inversesr.priors.conversion.state_dict_keys import (
    SCHEDULE_BUFFERS,
    is_original,
    never_projects,
    original_blocks,
    own_tensors,
    to_monai,
)
from tests.priors.conversion.test_checkpoints import ORIGINAL_BLOCKS

THREE_LEVELS = {
    "channels": [8, 16, 24],
    "num_res_blocks": 2,
    "attention_levels": [False, True, True],
    "spatial_dims": 3,
}
# one network under its three names, written out by hand: original, `generative`, MONAI core
AUTOENCODER = [
    ("encoder.blocks.0.weight", "encoder.blocks.0.conv.weight", "encoder.blocks.0.conv.weight"),
    ("encoder.blocks.1.norm1.weight",) * 3,
    (
        "decoder.blocks.4.to_q.weight",
        "decoder.blocks.4.to_q.weight",
        "decoder.blocks.4.attn.to_q.weight",
    ),
    (
        "decoder.blocks.7.conv.weight",
        "decoder.blocks.7.conv.conv.weight",
        "decoder.blocks.7.postconv.conv.weight",
    ),
    ("post_quant_conv.bias", "post_quant_conv.conv.bias", "post_quant_conv.conv.bias"),
    ("post_quant_conv.weight", "post_quant_conv.conv.weight", "post_quant_conv.conv.weight"),
]
DENOISER = [
    ("input_blocks.0.0.weight", "conv_in.conv.weight", "conv_in.conv.weight"),
    (
        "input_blocks.4.0.in_layers.2.weight",
        "down_blocks.1.resnets.0.conv1.conv.weight",
        "down_blocks.1.resnets.0.conv1.conv.weight",
    ),
    (
        "input_blocks.4.0.emb_layers.1.weight",
        "down_blocks.1.resnets.0.time_emb_proj.weight",
        "down_blocks.1.resnets.0.time_emb_proj.weight",
    ),
    (
        "input_blocks.4.1.transformer_blocks.0.attn1.to_out.0.weight",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0.weight",
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.out_proj.weight",
    ),
    (
        "input_blocks.4.1.transformer_blocks.0.ff.net.0.proj.weight",
        "down_blocks.1.attentions.0.transformer_blocks.0.ff.linear1.weight",
        "down_blocks.1.attentions.0.transformer_blocks.0.ff.linear1.weight",
    ),
    (
        "middle_block.1.to_k.weight",
        "middle_block.attention.to_k.weight",
        "middle_block.attention.attn.to_k.weight",
    ),
    (
        "output_blocks.2.2.conv.weight",
        "up_blocks.0.upsampler.conv.conv.weight",
        "up_blocks.0.upsampler.postconv.conv.weight",
    ),
    ("time_embed.0.weight",) * 3,
]
NETWORKS = [("AutoencoderKL", AUTOENCODER), ("DiffusionModelUNet", DENOISER)]
FORMS = {"original": 0, "generative": 1, "core": 2}


def tensors_of(rows, form):
    """Tensors under the names of a form; those of convolutions have the rank of one."""
    made = {}
    for row in rows:
        is_convolution = ".conv.weight" in row[1]
        made[row[FORMS[form]]] = torch.ones((1,) * 5 if is_convolution else 2)
    return made


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("network", "rows"), NETWORKS, ids=["autoencoder", "denoiser"])
def test_every_form_gets_the_names_of_monai_core_and_keeps_its_very_tensors(network, rows, form):
    tensors = tensors_of(rows, form)
    found = to_monai(tensors, network, THREE_LEVELS)
    assert set(found) == {row[2] for row in rows}
    for row in rows:
        assert found[row[2]] is tensors[row[FORMS[form]]]
    assert set(to_monai(found, network, THREE_LEVELS)) == set(found)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("network", "rows"), NETWORKS, ids=["autoencoder", "denoiser"])
def test_only_the_original_form_is_taken_for_it(network, rows, form):
    assert is_original(tensors_of(rows, form)) == (form == "original"), network


def test_a_projection_that_was_never_applied_is_seen_and_left_out():
    unused = "middle_block.attention.proj_attn.weight"
    tensors = {**tensors_of(DENOISER, "generative"), unused: torch.ones(2, 2)}
    assert never_projects(tensors)
    found = to_monai(tensors, "DiffusionModelUNet", THREE_LEVELS)
    assert not never_projects(found)
    assert len(found) == len(DENOISER)


def test_convolutions_are_told_by_the_rank_of_their_kernels():
    flat = {"input_blocks.0.0.weight": torch.ones(1, 1, 1, 1)}
    for n_dims, expected in ((2, "conv_in.conv.weight"), (3, "conv_in.weight")):
        arguments = {**THREE_LEVELS, "spatial_dims": n_dims}
        assert set(to_monai(flat, "DiffusionModelUNet", arguments)) == {expected}


def test_the_blocks_of_the_original_code_are_those_written_out_by_hand():
    rules = original_blocks(THREE_LEVELS)
    for new, old in ORIGINAL_BLOCKS.items():
        assert rules[f"{old}."] == f"{new}."


def test_without_attention_the_upsampler_follows_its_residual_block():
    rules = original_blocks(
        {"channels": [8, 16], "num_res_blocks": 1, "attention_levels": [False, False]}
    )
    assert rules["output_blocks.1.1."] == "up_blocks.0.upsampler."
    assert rules["input_blocks.2.0."] == "down_blocks.0.downsampler."


@pytest.mark.parametrize("attends", [(False, False, True), (True, False, True), (False,) * 3])
@pytest.mark.parametrize("counts", [(1, 1, 1), (2, 2, 2), (1, 3, 2)])
def test_no_two_residual_or_attention_blocks_get_the_same_name(attends, counts):
    arguments = {"channels": [8, 8, 8], "num_res_blocks": counts, "attention_levels": attends}
    names = list(original_blocks(arguments).values())
    resnets = [name for name in names if ".resnets." in name]
    up_attentions = [name for name in names if re.match(r"up_blocks\.\d\.attentions", name)]
    assert len(set(resnets)) == len(resnets) == 2 * sum(counts) + 3
    n_expected = sum(n + 1 for n, attend in zip(counts, attends, strict=True) if attend)
    assert len(set(up_attentions)) == len(up_attentions) == n_expected


def test_one_number_of_blocks_stands_for_every_level():
    listed = {**THREE_LEVELS, "num_res_blocks": [2, 2, 2]}
    unsaid = {k: v for k, v in THREE_LEVELS.items() if k != "num_res_blocks"}
    assert original_blocks(listed) == original_blocks(THREE_LEVELS) == original_blocks(unsaid)


@pytest.mark.parametrize("prefix", ["", "module.", "state_dict.", "model.diffusion_model."])
@pytest.mark.parametrize("form", FORMS)
def test_the_prefix_of_a_checkpoint_and_its_noise_levels_are_left_out(prefix, form):
    tensors = tensors_of(DENOISER, form)
    buffers = dict.fromkeys(SCHEDULE_BUFFERS, torch.ones(3))
    checkpoint = {prefix + name: t for name, t in tensors.items()} | buffers
    assert own_tensors(checkpoint, "DiffusionModelUNet") == tensors


@pytest.mark.parametrize("form", FORMS)
def test_two_networks_of_one_checkpoint_are_told_apart(form):
    parts = {
        "AutoencoderKL": ("first_stage_model.", tensors_of(AUTOENCODER, form)),
        "DiffusionModelUNet": ("model.diffusion_model.", tensors_of(DENOISER, form)),
    }
    checkpoint = {p + name: t for p, made in parts.values() for name, t in made.items()}
    for network, (_, tensors) in parts.items():
        assert own_tensors(checkpoint, network) == tensors


def test_a_checkpoint_of_another_network_has_none_of_the_tensors():
    assert own_tensors(tensors_of(DENOISER, "core"), "AutoencoderKL") == {}
    assert own_tensors(tensors_of(AUTOENCODER, "core"), "DiffusionModelUNet") == {}


def test_networks_of_this_package_keep_all_their_names():
    tensors = {"stem.weight": torch.ones(1), "betas": torch.ones(2)}
    assert own_tensors(tensors, "LocalDenoiser") == tensors
    assert to_monai(tensors, "LocalDenoiser", {}) == tensors


# one autoencoder under the names of MAISI and of MONAI core, written out by hand
MAISI = [
    ("encoder.blocks.0.conv.conv.weight", "encoder.blocks.0.conv.weight"),
    ("encoder.blocks.1.conv2.conv.conv.bias", "encoder.blocks.1.conv2.conv.bias"),
    ("encoder.blocks.3.conv.conv.conv.weight", "encoder.blocks.3.conv.conv.weight"),
    ("decoder.blocks.0.conv.conv.weight", "decoder.blocks.0.conv.weight"),
    (
        "decoder.blocks.1.nin_shortcut.conv.conv.weight",
        "decoder.blocks.1.nin_shortcut.conv.weight",
    ),
    ("decoder.blocks.3.conv.conv.conv.weight", "decoder.blocks.3.postconv.conv.weight"),
    ("decoder.blocks.8.norm1.weight", "decoder.blocks.8.norm1.weight"),
    ("quant_conv_mu.conv.weight", "quant_conv_mu.conv.weight"),
]


def test_the_deeper_names_of_maisi_become_those_of_monai_core_and_stay_so():
    tensors = {theirs: torch.ones(2) for theirs, _ in MAISI}
    found = to_monai(tensors, "MaisiAutoencoder", {})
    assert set(found) == {core for _, core in MAISI}
    assert all(found[core] is tensors[theirs] for theirs, core in MAISI)
    assert set(to_monai(found, "MaisiAutoencoder", {})) == set(found)


def test_networks_of_maisi_are_found_where_a_checkpoint_nests_them():
    nested = {"unet_state_dict.conv_in.conv.weight": torch.ones(1), "scale_factor": torch.ones(())}
    assert set(own_tensors(nested, "DiffusionModelUNetMaisi")) == {"conv_in.conv.weight"}
