"""Names of tensors: from the original code and from `generative` to those of MONAI core.

    original -> generative -> MONAI core <- MAISI

Every rule is a renaming; none touches a value. MONAI's own `load_old_state_dict` is silently
wrong for attention without a final projection, so the rules here are independent of it and
proved by golden tests.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

Tensors = dict[str, Tensor]

# Any tensor of the network ends in one of these, wherever the checkpoint hides it.
_MARKERS = {
    "AutoencoderKL": ("decoder.blocks.", "post_quant_conv."),
    "DiffusionModelUNet": ("input_blocks.0.", "conv_in."),
    "MaisiAutoencoder": ("decoder.blocks.", "post_quant_conv."),
    "DiffusionModelUNetMaisi": ("conv_in.",),
}
# What the original code keeps beside the weights: functions of the betas.
SCHEDULE_BUFFERS = frozenset(
    {
        "betas",
        "alphas_cumprod",
        "alphas_cumprod_prev",
        "sqrt_alphas_cumprod",
        "sqrt_one_minus_alphas_cumprod",
        "log_one_minus_alphas_cumprod",
        "sqrt_recip_alphas_cumprod",
        "sqrt_recipm1_alphas_cumprod",
        "posterior_variance",
        "posterior_log_variance_clipped",
        "posterior_mean_coef1",
        "posterior_mean_coef2",
        "lvlb_weights",
        "logvar",
    }
)

_ORIGINAL_PARTS = (
    (r"\.in_layers\.0\.", ".norm1."),
    (r"\.in_layers\.2\.", ".conv1."),
    (r"\.emb_layers\.1\.", ".time_emb_proj."),
    (r"\.out_layers\.0\.", ".norm2."),
    (r"\.out_layers\.3\.", ".conv2."),
    (r"\.ff\.net\.0\.proj\.", ".ff.linear1."),
    (r"\.ff\.net\.2\.", ".ff.linear2."),
)
_GENERATIVE_PARTS = (
    (r"\.to_out\.0\.", ".out_proj."),
    (r"^(decoder\.blocks\.\d+|up_blocks\.\d+\.upsampler)\.conv\.conv\.", r"\1.postconv.conv."),
    # attention blocks outside transformers gained a level
    (r"^((?:(?!transformer_blocks|\.attn\.).)+)\.(to_[qkv])\.", r"\1.attn.\2."),
)


def own_tensors(tensors: Mapping[str, Tensor], network: str) -> Tensors:
    """Keep the tensors of a network, without the prefix under which a checkpoint has them.

    Args:
        tensors: All tensors of a checkpoint.
        network: MONAI class, such as "AutoencoderKL".

    Returns:
        The network's tensors; none when the checkpoint holds another network. Networks of this
        package have had one form only, and keep all.
    """
    if network not in _MARKERS:
        return dict(tensors)
    for marker in _MARKERS[network]:
        holders = [name for name in tensors if f".{marker}" in f".{name}"]
        if holders:
            shortest = min((n[: f".{n}".index(f".{marker}")] for n in holders), key=len)
            inside = {n[len(shortest) :]: t for n, t in tensors.items() if n.startswith(shortest)}
            return {n: t for n, t in inside.items() if n not in SCHEDULE_BUFFERS}
    return {}


def is_original(tensors: Mapping[str, Tensor]) -> bool:
    """Whether names are those of the original code."""
    known = ("input_blocks.0.0.weight", "decoder.blocks.0.weight", "encoder.blocks.0.weight")
    return any(name in tensors for name in known)


def never_projects(tensors: Mapping[str, Tensor]) -> bool:
    """Whether names are those of `generative` attention, which stores a projection unused."""
    return any(".proj_attn." in name for name in tensors)


def to_monai(tensors: Mapping[str, Tensor], network: str, arguments: Mapping[str, Any]) -> Tensors:
    """Rename tensors to the names of MONAI core.

    Args:
        tensors: Under original, `generative` or MONAI core names; see `own_tensors`.
        network: MONAI class.
        arguments: Arguments of the class, which say what each original block is.

    Returns:
        The same tensors under MONAI core names, without projections that were never applied.
    """
    renamed = dict(tensors)
    if network not in _MARKERS:
        return renamed
    if is_original(tensors):
        rules = original_blocks(arguments) if network == "DiffusionModelUNet" else {}
        renamed = {_rename_original(name, rules): t for name, t in tensors.items()}
        renamed = _wrap_convolutions(renamed, int(arguments["spatial_dims"]))
    if any(name.startswith("decoder.blocks.0.conv.conv.") for name in tensors):
        # MAISI's layers that work in parts hold each convolution one level deeper
        renamed = {n.replace(".conv.conv.", ".conv.", 1): t for n, t in renamed.items()}
    kept = {name: t for name, t in renamed.items() if ".proj_attn." not in name}
    return {_substitute(name, _GENERATIVE_PARTS): t for name, t in kept.items()}


def original_blocks(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Map each block of the original U-Net to its `generative` name, by prefix."""
    n_levels = len(arguments["channels"])
    repeats = arguments.get("num_res_blocks", 2)
    counts = [repeats] * n_levels if isinstance(repeats, int) else list(repeats)
    attends = list(arguments["attention_levels"])
    rules = {"input_blocks.0.0.": "conv_in."}
    index = 1
    for level, count in enumerate(counts):
        for j in range(count):
            rules[f"input_blocks.{index}.0."] = f"down_blocks.{level}.resnets.{j}."
            rules[f"input_blocks.{index}.1."] = f"down_blocks.{level}.attentions.{j}."
            index += 1
        rules[f"input_blocks.{index}.0."] = f"down_blocks.{level}.downsampler."
        index += 1
    for i, part in enumerate(("resnet_1", "attention", "resnet_2")):
        rules[f"middle_block.{i}."] = f"middle_block.{part}."
    index = 0
    for level, (count, attend) in enumerate(zip(reversed(counts), reversed(attends), strict=True)):
        for j in range(count + 1):
            rules[f"output_blocks.{index}.0."] = f"up_blocks.{level}.resnets.{j}."
            parts = [f"attentions.{j}."] * attend + ["upsampler."]
            for k, part in enumerate(parts, start=1):
                rules[f"output_blocks.{index}.{k}."] = f"up_blocks.{level}.{part}"
            index += 1
    return rules


def _rename_original(name: str, blocks: Mapping[str, str]) -> str:
    """Rename one tensor of the original code, all but the wrapping of convolutions."""
    match = re.match(
        r"(input_blocks\.\d+\.\d+\.|output_blocks\.\d+\.\d+\.|middle_block\.\d+\.)", name
    )
    prefix = match[0] if match else ""
    return _substitute(blocks.get(prefix, prefix) + name[len(prefix) :], _ORIGINAL_PARTS)


def _wrap_convolutions(tensors: Tensors, spatial_dims: int) -> Tensors:
    """Add the level `.conv` in which `generative` and MONAI wrap every convolution."""
    layers = {
        name.removesuffix(".weight")
        for name, t in tensors.items()
        if name.endswith(".weight") and t.ndim == spatial_dims + 2
    }
    wrapped = {}
    for name, t in tensors.items():
        layer, _, kind = name.rpartition(".")
        wrapped[f"{layer}.conv.{kind}" if layer in layers else name] = t
    return wrapped


def _substitute(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    """Apply regular expressions in order."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
